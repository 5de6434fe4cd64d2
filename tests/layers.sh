#!/bin/sh
# Checks that the layers of src/ only look to the left:
#
#     base <- net, store <- scm, eyes <- flow <- service <- web <- app
#
# usage: tests/layers.sh [SRC]        names each include that breaks the order; exit 1 when there is one
#        tests/layers.sh --self-test  proves that it would
set -eu

check() { # the src folder
	(cd "$1" && find . -name '*.[ch]' | sed 's|^\./||' | sort | xargs -r awk '
	BEGIN {
		sees["base"] = "base"
		sees["net"] = "base net"
		sees["store"] = "base store"
		sees["scm"] = "base net scm"
		sees["eyes"] = "base net eyes"
		sees["flow"] = "base net store scm eyes flow"
		sees["service"] = sees["flow"] " service"
		sees["web"] = sees["service"] " web"
		sees["app"] = sees["web"] " app"
	}
	function fault(rule) {
		printf "src/%s:%d: %s\n    %s\n", FILENAME, FNR, rule, $0
		faults++
	}
	/^[ \t]*#[ \t]*include[ \t]*["<]/ {
		split(FILENAME, path, "/")
		layer = path[1]
		name = $0
		sub(/^[^"<]*["<]/, "", name)
		sub(/[">].*/, "", name)
		split(name, part, "/")

		if (!(layer in sees))
			fault("src/" layer " is no layer; the layers are listed in tests/layers.sh")
		else if (part[1] in sees && index(" " sees[layer] " ", " " part[1] " ") == 0)
			fault(layer " may include " sees[layer] ", not " part[1])
		else if (/"/ && !(part[1] in sees))
			fault("includes of ours are written \"layer/room.h\"")
		else if (name == "lmdb.h" && FILENAME != "store/db_internal.h")
			fault("only store/db_internal.h may include lmdb.h")
	}
	END { exit faults > 0 }')
}

# Each of these must be refused, alone among includes that are fine.
self_test() {
	tree=$(mktemp -d)
	trap 'rm -rf "$tree"' EXIT
	failed=0
	while read -r file include; do
		rm -rf "$tree/src"
		mkdir -p "$tree/src/app" "$tree/src/store" "$tree/src/${file%/*}"
		printf '#include <stdio.h>\n#include "app/x.h"\n#include "web/x.h"\n#include "base/x.h"\n' >"$tree/src/app/main.c"
		printf '#include <lmdb.h>\n#include "store/db.h"\n' >"$tree/src/store/db_internal.h"
		check "$tree/src" || { echo "self-test: refused a tree that is fine"; failed=1; }
		printf '\n#include %s\n' "$include" >"$tree/src/$file"
		if found=$(check "$tree/src"); then
			echo "self-test: $file may include $include, says the check; it must not"
			failed=1
		elif ! echo "$found" | grep -q "^src/$file:2: "; then
			echo "self-test: $file includes $include, and the check did not name it: $found"
			failed=1
		fi
	done <<-END
		base/err.c "net/tls.h"
		base/err.h <net/tls.h>
		net/tls.c "store/db.h"
		store/queue.c "net/tls.h"
		store/queue.c <lmdb.h>
		scm/scm.c "eyes/eyes.h"
		scm/scm.c "store/db.h"
		eyes/eyes.c "scm/scm.h"
		eyes/eyes.c "store/db.h"
		flow/poller.c "service/setup.h"
		service/setup.c "web/router.h"
		web/router.c "app/options.h"
		web/router.c "router.h"
		app/main.c "../base/err.h"
		misc/thing.c "base/err.h"
	END
	exit $failed
}

case ${1:-} in
--self-test) self_test ;;
*) check "${1:-$(dirname "$0")/../src}" ;;
esac
