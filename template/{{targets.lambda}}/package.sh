#!/usr/bin/env bash
# Makes deploy/package, the code of both functions: dependencies, app and handler, compiled.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

package=deploy/package
python=${PACKAGE_PYTHON:-$(sed -n 's/^ *Runtime: python//p' deploy/template.yaml)}

rm -rf "$package"
mkdir -p "$package/deploy"
# Lambda is the server: uvicorn is left out.
uv export --locked --quiet --python "$python" --no-dev --no-emit-project --prune uvicorn > "$package/requirements.txt"
uv pip install --quiet --python "$python" --python-platform x86_64-manylinux_2_28 --only-binary :all: \
    --link-mode copy --target "$package" --requirements "$package/requirements.txt"
cp -R app "$package/"
cp deploy/handler.py "$package/deploy/"
[ ! -e deploy/database-ca.pem ] || cp deploy/database-ca.pem "$package/deploy/"
# Without times in it: an archive does not keep those of the sources, and what does not agree is compiled at every start.
find "$package" -name __pycache__ -prune -exec rm -rf {} +
uv run --quiet --no-project --python "$python" python -m compileall -q -j 0 --invalidation-mode unchecked-hash "$package"
