"""Receives the webhooks of the events node on a TCP port and prints them; needs only the standard library.

python3 examples/webhook.py 8000
python3 examples/webhook.py 8000 webhook.secret     # refuses requests that are not signed with this secret
"""

import hashlib
import hmac
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
secret = Path(sys.argv[2]).read_bytes().strip() if len(sys.argv) > 2 else b""


class WebhookHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        signature = f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"
        signed = hmac.compare_digest(signature, self.headers.get("X-Edgecam-Signature", ""))
        if secret and not signed:
            self.send_error(403, "wrong signature")
            return
        event = json.loads(body)
        print(f"{event['state']}: {event['label']}, rule {event['rule']}, {event['id']}", flush=True)
        self.send_response(204)  # on any other status than 2xx the node retries or drops the event
        self.end_headers()


ThreadingHTTPServer(("127.0.0.1", port), WebhookHandler).serve_forever()
