#!/usr/bin/env bash
# python-tool.sh PACKAGE VERSION: sees that this version of a tool from PyPI is in target/tools/PACKAGE, an environment of its
# own.
set -euo pipefail
cd "$(dirname "$0")/.."
package=$1 version=$2
mark=target/tools/$package-$version
[ ! -e "$mark" ] || exit 0
echo "python-tool: installing $package $version into target/tools, once"
rm -rf "target/tools/$package"
mkdir -p target/tools
python3 -m venv "target/tools/$package"
"target/tools/$package/bin/pip" install --quiet --disable-pip-version-check "$package==$version"
touch "$mark"
