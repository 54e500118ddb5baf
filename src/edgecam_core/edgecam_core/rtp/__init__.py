"""H.265 and H.264 over RTP, without ROS: settings, packets, loss repair, capture time, sender and receiver.

The packets are ours from the encoder's output to the socket and back, in pure functions and small classes
that know neither sockets nor clocks; GStreamer only encodes and decodes. That is what makes retransmission, the exact
capture time and the refusal of damaged frames possible on every GStreamer version.
"""
