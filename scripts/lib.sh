# shellcheck shell=bash
# What the scripts of this folder share: the project's root, Debian's packages, the Python environment.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$root/.venv"

say() { printf '» %s\n' "$*" >&2; }

# Install packages of Debian, as root where apt is; elsewhere say what is missing and stop.
apt_install() {
  if [[ "$(id -u)" != 0 ]] || ! command -v apt-get >/dev/null; then
    say "please install: $*   (on Debian, as root: apt-get install $*)"
    return 1
  fi
  say "installing $* with apt-get"
  apt-get update -qq
  # RUNLEVEL=1: a server that is installed for the tests is not started as a service of the machine.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Print the first Python on PATH that is 3.11 or newer. A name may exist and not run: pyenv leaves such shims.
find_python() {
  local candidate
  for candidate in "${PYTHON:-python3.11}" python3.11 python3 python3.12 python3.13; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

# Make .venv unless a working one is there.
make_venv() {
  local python name
  if "$venv/bin/python" -m pip --version >/dev/null 2>&1; then return; fi
  if ! python="$(find_python)"; then
    apt_install python3.11 python3.11-venv
    python="$(find_python)"
  fi
  # Debian's Python leaves venv's installer of pip in a package of its own.
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    name="$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')"
    apt_install "$name-venv"
  fi
  say "making .venv with $("$python" --version)"
  "$python" -m venv --clear "$venv"
}

# Install the project, editable, with the named extras; those that pyproject.toml has not changed since are left alone.
install_extras() {
  local extra wanted stamps="$venv/.extras" missing=()
  make_venv
  mkdir -p "$stamps"
  wanted="$(cksum <"$root/pyproject.toml")"
  for extra in "$@"; do
    if [[ ! -f "$stamps/$extra" || "$(<"$stamps/$extra")" != "$wanted" ]]; then missing+=("$extra"); fi
  done
  if ((${#missing[@]} == 0)); then return; fi
  say "installing the project with ${missing[*]}"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --editable "${root}[$(IFS=, && echo "${missing[*]}")]"
  for extra in "${missing[@]}"; do echo "$wanted" >"$stamps/$extra"; done
}
