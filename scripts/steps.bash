# shellcheck shell=bash
# Sourced by the set-up scripts: named steps, each done once for the same inputs. If a step fails, the script prints its
# name, the error lines of its output and the remedy; the log has the whole output.
#
# Set before sourcing: program (the name in messages), log (file), stamps (folder).
exec 3>&2  # the terminal: the output of a step goes to the log, error messages of the script go here
step='' hint='' offset=0 refused=''
trap 'finish $?' EXIT

finish() {  # EXIT-CODE
  if [ "$1" = 0 ] || [ -n "$refused" ]; then return; fi
  if [ -z "$step" ]; then echo "$program: failed between two steps; the message above names the cause" >&3; return; fi
  if [ "$1" -ge 128 ] && [ "$1" -lt 137 ]; then echo "$program: interrupted in step '$step'" >&3; return; fi
  {
    printf "\n%s: step '%s' failed:\n" "$program" "$step"
    reasons | sed 's/^/    /'
    if [ -n "$hint" ]; then printf '  What to do: %s\n' "$hint"; fi
    printf '  The whole output is in %s.\n' "${log#"$PWD/"}"
  } >&3
}

# The lines of this step's output that name the cause; the last lines if none looks like an error.
reasons() {
  tail -c "+$((offset + 1))" "$log" | sed 's/(Retry([^)]*)) //' | cut -c 1-400 | awk '
    { last[NR % 3] = $0 }
    more > 0 { more--; if (NF) found[++count] = $0; next }
    /^CMake Error/ { found[++count] = $0; more = 2; next }
    /^(E|Err:[0-9]+|sudo|ninja|fatal|make): / || /^npm ERR! code/ || /(^|[ :])([Ff]atal )?[Ee](rror|RROR)(:| )/ || /^Err:[0-9]/ ||
    /^[A-Za-z_.]+(Error|Exception|Failure|Exit)(:|$)/ || /(command not found|No such file|No space left|[Pp]ermission denied)/ ||
    /(connection broken|[Cc]ould not resolve|Temporary failure|undefined reference|Killed|Segmentation fault)/ {
      if (!seen[$0]++) found[++count] = $0
    }
    END {
      for (i = 1; i <= count && i <= 4; i++) print found[i]
      if (!count) for (i = NR - 2; i <= NR; i++) if (i > 0) print last[i % 3]
    }'
}

# run_step NAME HINT INPUTS FUNCTION: call the function unless it succeeded with the same inputs before.
run_step() {
  step=$1
  hint=$2
  if [ "$(cat "$stamps/$step" 2>/dev/null)" = "$3" ]; then step=''; return; fi
  printf '%s: %s ...\n' "$program" "$step"
  local begin=$SECONDS
  offset=$(stat -c %s "$log")
  "$4" >>"$log" 2>&1
  mkdir -p "$stamps"
  printf '%s' "$3" >"$stamps/$step"
  printf '%s: %s done in %d s\n' "$program" "$step" $((SECONDS - begin))
  step=''
}

refuse() {  # MESSAGE: for errors before the first step
  refused=1
  printf '%s: %s\n' "$program" "$1" >&3
  exit 1
}

digest() { cat "$@" | sha256sum | cut -d' ' -f1; }

# Without what Python, pip and the tests write next to them: byte code, metadata, .hypothesis of `colcon test`.
source_files() {  # FOLDER [ACTION]
  find "$1" -type f -not -name '*.pyc' -not -path '*.egg-info/*' -not -path '*/.*' "${@:2}"
}

tree_digest() {  # FOLDER
  source_files "$1" -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}
