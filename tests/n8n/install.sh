#!/usr/bin/env bash
# install.sh DIR : n8n with its own Node from the npm registry into DIR (2.4 GB, 4 to 9 minutes), unless it is there.
# Pinned: what docs/n8n.md tells was seen with these versions.
set -euo pipefail
N8N=2.41.1 NODE=24.21.0
dir=$(mkdir -p "${1:?usage: install.sh DIR}" && cd "$1" && pwd)
cd "$dir"
case $(uname -m) in
  x86_64) arch=x64 ;;
  aarch64) arch=arm64 ;;
  *) echo "no Node package for $(uname -m)" >&2; exit 1 ;;
esac
node="$dir/node_modules/node-linux-$arch"
built=node_modules/sqlite3/build/Release/node_sqlite3.node
export PATH="$dir/node_modules/.bin:$PATH"
if [ -s "$built" ] && [ "$(n8n --version)" = "$N8N" ]; then
  echo "n8n $N8N is in $dir"
  exit 0
fi
command -v npm > /dev/null || { echo "npm is needed to install n8n (Debian: apt-get install npm)" >&2; exit 1; }

# Tell that it goes on: npm is silent for minutes.
(while sleep 15; do echo "  ... ${SECONDS} s, $(du -sm node_modules 2> /dev/null | cut -f1) MB of about 2400"; done) &
ticker=$!
trap 'kill $ticker 2> /dev/null || true' EXIT

# linkedom: its newest release asks for a package that the registry does not serve; 0.18.12 does not.
cat > package.json <<J
{"private": true, "name": "n8n-for-tests", "version": "0.0.0",
 "dependencies": {"node-linux-$arch": "$NODE", "n8n": "$N8N"},
 "overrides": {"linkedom": "0.18.12"}}
J
echo "Installing n8n $N8N and Node $NODE into $dir ..."
# n8n wants Node 24, which is a package of its own. Install scripts download prebuilt files; only sqlite3 is needed, below.
npm install --ignore-scripts --legacy-peer-deps --no-audit --no-fund --loglevel=error
ln -sf "../node-linux-$arch/bin/node" node_modules/.bin/node
if [ ! -s "$built" ]; then
  echo "Compiling sqlite3 ..."
  (cd node_modules/sqlite3 && "$node/bin/node" ../node-gyp/bin/node-gyp.js rebuild --nodedir="$node" -j 2) \
    > sqlite3-build.log 2>&1 || { tail -20 sqlite3-build.log >&2; exit 1; }
fi
echo "n8n $(n8n --version) is in $dir after $SECONDS s"
