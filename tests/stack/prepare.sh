# Sourced by tests/real-stack and tests/kafka-stack, at the repository's root: the Python packages and the worker.
# Sets `python` and `worker`. WORKER names a binary that is built already.

venv=target/stack/venv
if [[ ! "$venv/ready" -nt tests/stack/requirements.txt ]]; then
  python3 -m venv "$venv" 2>/dev/null || {
    { apt-get update && apt-get install --yes --no-install-recommends python3 python3-venv; } >&2
    python3 -m venv "$venv"
  }
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement tests/stack/requirements.txt >&2
  touch "$venv/ready"
fi
export PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
python="$venv/bin/python"

# build_worker [CARGO ARGUMENTS]: the optimised binary, since lateness is told too.
build_worker() {
  if [[ -z "${WORKER:-}" ]]; then
    cargo build --locked --release "$@" >&2
    WORKER="${CARGO_TARGET_DIR:-target}/release/reminder-worker"
  fi
  worker="$(realpath "$WORKER")"
}
