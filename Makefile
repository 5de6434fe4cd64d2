# eyes-scm, for GNU make. "make" alone is enough in a fresh clone; for libraries that are missing, see
# packaging/install-deps ("make demo" and "make check" call it themselves).
#
#   make                 the program, build/eyes-scm     make install     under DESTDIR and prefix
#   make demo [ONCE=1]   see it work, on simulators      make uninstall
#   make check           every test                      make clean, make distclean
#   make fuzz, bench     FUZZ_SECONDS=60 per target      make format, format-check, lint
#
# Switches: SANITIZE=1 (ASan and UBSan, in build-san/), WERROR=1, CC=clang, V=1 (show the commands),
# BUILD=FOLDER. Out of tree: mkdir b && cd b && ../configure && make.

MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SECONDARY:

srcdir := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))

.PHONY: all sims unit-programs bench-programs fuzz-programs warnings demo check fuzz bench install uninstall \
	clean distclean format format-check lint FORCE

all:

# ---- configuration: made when it is missing or out of date ----

# These work on a bare machine: they install what they need, or need nothing, before anything is configured.
BARE := demo check fuzz bench clean distclean format format-check lint
ifneq ($(filter-out $(BARE),$(or $(MAKECMDGOALS),all)),)
include config.mk
endif

config.mk: $(srcdir)/configure $(srcdir)/packaging/config.mk.in
	@if test -x config.status; then ./config.status --recheck && ./config.status; else $(srcdir)/configure; fi

$(srcdir)/configure: $(srcdir)/configure.ac
	@command -v autoconf >/dev/null || { \
		echo 'autoconf is missing; $(srcdir)/packaging/install-deps installs all that is needed' >&2; exit 1; }
	cd $(srcdir) && autoconf --force

# ---- flags ----

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wdate-time
INCLUDES := -I$(srcdir)/src
DEFINES = -DEYES_SCM_VERSION='"$(VERSION)"' -DEYES_SCM_SYSCONFDIR='"$(sysconfdir)"' \
	-DEYES_SCM_LOCALSTATEDIR='"$(localstatedir)"'
# Neither the folder of the build nor that of the source shows in the result.
REPRODUCIBLE := -ffile-prefix-map=$(srcdir)/= -ffile-prefix-map=$(abspath $(srcdir))/= -ffile-prefix-map=$(CURDIR)=.

SANITIZERS := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all
ifdef FUZZ
BUILD ?= build-fuzz
CC := clang
MODE := $(SANITIZERS) -fsanitize=fuzzer-no-link,address,undefined
else ifeq ($(SANITIZE),1)
BUILD ?= build-san
MODE := $(SANITIZERS) -fsanitize=address,undefined
else
BUILD ?= build
MODE = $(HARDEN_CFLAGS)
MODE_LINK = $(HARDEN_LDFLAGS)
endif

COMPILE = $(CC) -std=gnu17 $(WARNINGS) $(if $(filter 1,$(WERROR)),-Werror) $(INCLUDES) $(DEFINES) $(DEPS_CFLAGS) \
	$(CPPFLAGS) $(CFLAGS) $(MODE) -fPIE -pthread $(REPRODUCIBLE)
LINK = $(CC) $(CFLAGS) $(MODE) $(MODE_LINK) $(LDFLAGS) -pie -pthread

# ---- what is built from what ----

objects = $(patsubst $(srcdir)/%.c,$(BUILD)/%.o,$(1))
sources = $(sort $(wildcard $(addprefix $(srcdir)/,$(1))))

MAIN := src/app/main
SIM_MAINS := sim_bitbucket sim_eyes
LIB_SOURCES := $(filter-out $(srcdir)/$(MAIN).c,$(call sources,src/*/*.c))
SIM_SOURCES := $(filter-out $(SIM_MAINS:%=$(srcdir)/tests/sim/%_main.c),$(call sources,tests/sim/*.c))
UNIT_HELPERS := $(call sources,tests/unit/*.c)
UNIT := $(patsubst $(srcdir)/%.c,$(BUILD)/%,$(call sources,tests/unit/*/test_*.c))
FUZZERS := $(patsubst $(srcdir)/%.c,$(BUILD)/%,$(call sources,tests/fuzz/fuzz_*.c))
BENCHES := $(patsubst $(srcdir)/%.c,$(BUILD)/%,$(call sources,tests/bench/*.c))

LIB := $(BUILD)/libeyes-scm.a
SIM_LIB := $(BUILD)/libsims.a

all: $(BUILD)/eyes-scm
sims: $(BUILD)/sim-bitbucket $(BUILD)/sim-eyes
unit-programs: $(UNIT)
fuzz-programs: $(FUZZERS)
bench-programs: $(BENCHES)

# The page, built in.
STATIC := $(call sources,static/*.html static/*.css static/*.js static/*.svg static/js/*.js)
$(BUILD)/assets.c: $(srcdir)/packaging/embed-assets $(srcdir)/packaging/pack-modules $(STATIC)
	@mkdir -p $(@D)
	$(call say,GEN,$@)$(srcdir)/packaging/embed-assets $(srcdir)/static $@
$(BUILD)/assets.o: $(BUILD)/assets.c $(BUILD)/flags
	$(call say,CC,$@)$(COMPILE) -MMD -MP -c -o $@ $<

$(LIB): $(call objects,$(LIB_SOURCES)) $(BUILD)/assets.o
$(SIM_LIB): $(call objects,$(SIM_SOURCES))

$(BUILD)/eyes-scm: $(BUILD)/$(MAIN).o $(LIB)
$(BUILD)/sim-bitbucket: $(BUILD)/tests/sim/sim_bitbucket_main.o $(SIM_LIB) $(LIB)
$(BUILD)/sim-eyes: $(BUILD)/tests/sim/sim_eyes_main.o $(SIM_LIB) $(LIB)
$(UNIT): %: %.o $(call objects,$(UNIT_HELPERS)) $(SIM_LIB) $(LIB)
$(FUZZERS) $(BENCHES): %: %.o $(SIM_LIB) $(LIB)

# Only tests see the folder of tests: src cannot include from it by accident. Private: what they depend on is made
# without it, else the flags would change with what is made first, and everything be built again.
$(BUILD)/tests/%.o $(BUILD)/tests/%.read: private INCLUDES += -I$(srcdir)/tests
$(UNIT): LIBS := -lcmocka
$(FUZZERS): LIBS := -fsanitize=fuzzer

# ---- how ----

say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2);)

$(BUILD)/%.o: $(srcdir)/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$@)$(COMPILE) -MMD -MP -c -o $@ $<

$(LIB) $(SIM_LIB): $(BUILD)/flags
	$(call say,AR,$@)rm -f $@ && ar rcsD $@ $(filter %.o,$^)

$(BUILD)/eyes-scm $(BUILD)/sim-bitbucket $(BUILD)/sim-eyes $(UNIT) $(FUZZERS) $(BENCHES):
	$(call say,LINK,$@)$(LINK) -o $@ $^ $(LIBS) $(DEPS_LIBS)

# Every source is read, and nothing is made of it: for what a second compiler has to say.
warnings: $(patsubst $(srcdir)/%.c,$(BUILD)/%.read,$(call sources,src/*/*.c tests/*/*.c tests/unit/*/*.c)) $(BUILD)/assets.read
$(BUILD)/%.read: $(srcdir)/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,READ,$@)$(COMPILE) -fsyntax-only -MMD -MP -MF $(@:.read=.d) -MT $@ $< && touch $@
$(BUILD)/assets.read: $(BUILD)/assets.c $(BUILD)/flags
	$(call say,READ,$@)$(COMPILE) -fsyntax-only $< && touch $@

# The commands and the list of files: when one of them changes, everything is built again.
define FLAGS
$(COMPILE)
$(LINK)
$(LIB_SOURCES) $(SIM_SOURCES)
endef
$(BUILD)/flags: FORCE
	$(shell mkdir -p $(@D))$(file >$@.new,$(FLAGS))@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

-include $(wildcard $(patsubst %.o,%.d,$(call objects,$(call sources,src/*/*.c tests/*/*.c tests/unit/*/*.c))))

# ---- see it, check it ----

# From here on a part of the work may be to install the compiler, so make starts anew for the build.
DEPS := $(srcdir)/packaging/install-deps
BUILD_NOW = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
BINARIES = EYES_SCM_BIN=$(abspath $(BUILD))/eyes-scm SIM_BITBUCKET_BIN=$(abspath $(BUILD))/sim-bitbucket \
	SIM_EYES_BIN=$(abspath $(BUILD))/sim-eyes
RUN = BUILD_ROOT=$(CURDIR) $(srcdir)/tests/run

demo:
	@$(DEPS) --demo
	@+$(BUILD_NOW) all sims
	@$(BINARIES) $(srcdir)/tests/demo.py

check:
	@$(DEPS) --test
	@$(RUN)

fuzz:
	@$(DEPS) --test
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) $(RUN) fuzz

bench:
	@$(DEPS) --bench
	@+$(BUILD_NOW) all sims bench-programs
	@$(BINARIES) BENCH_BIN=$(abspath $(BUILD))/tests/bench $(srcdir)/tests/bench/run

lint:
	@$(RUN) format layers lint

format-check:
	@$(RUN) format

format:
	cd $(srcdir) && find src tests -name '*.[ch]' | sort | xargs -r clang-format -i

# ---- install ----

MAN_PAGES = $(call sources,man/*.[1-8])
man_section = $(DESTDIR)$(mandir)/man$(subst .,,$(suffix $(1)))
INIT_SCRIPT = $(DESTDIR)$(sysconfdir)/init.d/eyes-scm
CONFIG = $(DESTDIR)$(sysconfdir)/eyes-scm/eyes-scm.conf

install: all
	install -D -m 755 $(BUILD)/eyes-scm $(DESTDIR)$(bindir)/eyes-scm
	$(foreach page,$(MAN_PAGES),install -D -m 644 $(page) $(call man_section,$(page))/$(notdir $(page)) &&) true
	install -d $(dir $(INIT_SCRIPT))
	sed 's|^DAEMON=.*|DAEMON=$(bindir)/eyes-scm|' $(srcdir)/packaging/eyes-scm.init >$(INIT_SCRIPT)
	chmod 755 $(INIT_SCRIPT)
	@# The administrator's own settings are never overwritten.
	test -e $(CONFIG) || install -D -m 644 $(srcdir)/packaging/eyes-scm.conf $(CONFIG)

# What the administrator may have written, the configuration and the state, stays.
uninstall:
	rm -f $(DESTDIR)$(bindir)/eyes-scm $(INIT_SCRIPT)
	rm -f $(foreach page,$(MAN_PAGES),$(call man_section,$(page))/$(notdir $(page)))

clean:
	rm -rf build build-san build-clang build-fuzz

distclean: clean
	rm -rf config.mk config.status config.log $(srcdir)/configure $(srcdir)/configure~ $(srcdir)/autom4te.cache
