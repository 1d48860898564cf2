# Tapedeck. `make help` lists what this can do. Plugins and tests are found by wildcard: a new folder is enough.

PREFIX   ?= /usr/local
DESTDIR  ?=
BUILD    ?= build
ifeq ($(origin CC),default)
CC       := gcc
endif
ifeq ($(origin CXX),default)
CXX      := $(subst clang,clang++,$(subst gcc,g++,$(CC)))
endif
JOBS     ?= $(shell nproc)
T        ?=
MAKEFLAGS += --no-print-directory

PACKAGES := yaml-0.1 jansson libzstd zlib libpcap libcrypto sqlite3 libmicrohttpd gnutls libcurl expat
CFLAGS   ?= -O3 -g
WARN     := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wimplicit-fallthrough
# What may silently change the layout or the meaning of an interface is an error everywhere, WERROR or not.
WARN     += -Werror=implicit-function-declaration -Werror=incompatible-pointer-types -Werror=int-conversion -Werror=return-type
WERROR   ?= -Werror
SANITIZE ?=
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE $(CFLAGS) $(WARN) $(WERROR) $(SANITIZE) -fvisibility=hidden -fno-strict-aliasing \
             -pthread -Isdk/include -Icore -MMD -MP $(shell pkg-config --cflags $(PACKAGES))
# The core and its tests know the whole plugin interface; a plugin says itself which minor it needs.
WHOLE_ABI := -DTD_TARGET_MINOR=TD_ABI_MINOR
# Two shims over C++ libraries; the C++ library itself is linked by its name, so that $(CC) links everything.
ALL_CXXFLAGS = -std=c++17 -fno-rtti -D_GNU_SOURCE $(CFLAGS) $(filter-out %-prototypes %-function-declaration %-pointer-types %int-conversion,$(WARN)) \
             $(WERROR) $(SANITIZE) -fvisibility=hidden -fno-strict-aliasing -pthread -Isdk/include -Icore -MMD -MP
LDLIBS    = $(shell pkg-config --libs $(PACKAGES)) -lre2 -lstdc++ -ldl -lm
# What the plugins link against, for the tests that link them in.
PLUGIN_LIBS = $(sort $(shell sed -n 's/^LIBS *:= *//p' plugins/*/*/Makefile))

OBJ      := $(BUILD)/obj
CORE     := $(wildcard core/*/*.c)
LIB_SRC  := $(filter-out core/cli/main.c,$(CORE))
LIB_OBJ  := $(LIB_SRC:%.c=$(OBJ)/%.o) $(patsubst %.cc,$(OBJ)/%.o,$(wildcard core/*/*.cc))
PLUGINS  := $(patsubst plugins/%/Makefile,%,$(wildcard plugins/*/*/Makefile))
PLUGIN_SRC := $(wildcard plugins/*/*/*.c)
UNIT     := $(patsubst %.c,%,$(wildcard tests/unit/*/*.c tests/conformance/*.c))
BENCHES  := $(patsubst %.c,%,$(wildcard tests/bench/*.c))
FUZZERS  := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
TEST_OBJ := $(patsubst %.c,$(OBJ)/%.o,$(wildcard tests/*.c))
ABI_SAMPLES := $(patsubst tests/conformance/abi/%.c,$(OBJ)/abi/%.so,$(wildcard tests/conformance/abi/*.c tests/conformance/abi/v*/*.c))
TEST_PLUGINS := $(patsubst tests/plugins/%.c,$(BUILD)/tests/plugins/dissectors/%.so,$(wildcard tests/plugins/*.c))

.PHONY: all deps demo check large docs man bless asan tsan fuzz bench conformance conformance-cel conformance-kfl lint fmt install clean help plugins tests
all: $(BUILD)/tapedeck plugins ## build the program and all plugins

$(BUILD)/tapedeck: $(OBJ)/core/cli/main.o $(OBJ)/libcore.a
	@echo "  LINK $@"
	@$(CC) $(ALL_CFLAGS) -rdynamic -o $@ $^ $(LDLIBS)

$(OBJ)/libcore.a: $(LIB_OBJ)
	@rm -f $@
	@ar rcs $@ $^

# The same plugin sources, linked side by side into tests and fuzzers.
$(OBJ)/libplugins.a: $(PLUGIN_SRC:%.c=$(OBJ)/%.o)
	@rm -f $@
	@ar rcs $@ $^

$(OBJ)/plugins/%.o: plugins/%.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(ALL_CFLAGS) -DTD_STATIC -c -o $@ $<

$(OBJ)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(ALL_CFLAGS) $(WHOLE_ABI) -Itests -c -o $@ $<

$(OBJ)/%.o: %.cc
	@mkdir -p $(@D)
	@echo "  CXX $<"
	@$(CXX) $(ALL_CXXFLAGS) $(WHOLE_ABI) -c -o $@ $<

plugins: $(PLUGINS:%=plugin-%)
.PHONY: $(PLUGINS:%=plugin-%)
$(PLUGINS:%=plugin-%): plugin-%:
	@$(MAKE) -s -C plugins/$* OUT=$(abspath $(BUILD))/plugins/$(*D) OBJ=$(abspath $(OBJ))/shared/$* \
		CC="$(CC)" CFLAGS="$(CFLAGS) $(SANITIZE)" WERROR="$(WERROR)" $(if $(SANITIZE),DEFS=)

tests: $(UNIT:%=$(BUILD)/%) $(BENCHES:%=$(BUILD)/%) $(FUZZERS:%=$(BUILD)/tests/fuzz/%) $(ABI_SAMPLES) $(TEST_PLUGINS)

# Dissectors that do harm, for the sandbox's tests.
$(BUILD)/tests/plugins/dissectors/%.so: tests/plugins/%.c
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) -std=c17 -D_GNU_SOURCE $(CFLAGS) $(WARN) $(WERROR) $(SANITIZE) -fPIC -fvisibility=hidden -Isdk/include \
		-MMD -MP -MF $(@:.so=.d) -MT $@ -shared -o $@ $<

# Sample plugins, built with the frozen headers as plugins in the world are: those in a minor's folder with its header, the others
# with the first.
$(OBJ)/abi/%.so: tests/conformance/abi/%.c
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) -std=c17 $(CFLAGS) $(WARN) $(WERROR) $(SANITIZE) -fPIC -fvisibility=hidden \
		-Itests/conformance/abi/$(or $(filter v%,$(*D)),v1.0) \
		-MMD -MP -MF $(@:.so=.d) -MT $@ -shared -o $@ $<

$(UNIT:%=$(BUILD)/%) $(BENCHES:%=$(BUILD)/%): $(BUILD)/%: $(OBJ)/%.o $(TEST_OBJ) $(OBJ)/libcore.a $(OBJ)/libplugins.a
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) $(ALL_CFLAGS) -rdynamic -o $@ $< $(TEST_OBJ) $(OBJ)/libcore.a $(OBJ)/libplugins.a $(OBJ)/libcore.a $(LDLIBS) $(PLUGIN_LIBS)
$(FUZZERS:%=$(BUILD)/tests/fuzz/%): $(BUILD)/tests/fuzz/%: $(OBJ)/tests/fuzz/%.o $(OBJ)/tests/fuzz/replay.o $(TEST_OBJ) $(OBJ)/libcore.a $(OBJ)/libplugins.a
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) $(ALL_CFLAGS) -rdynamic -o $@ $< $(OBJ)/tests/fuzz/replay.o $(TEST_OBJ) $(OBJ)/libcore.a $(OBJ)/libplugins.a $(OBJ)/libcore.a $(LDLIBS) $(PLUGIN_LIBS)

demo: ## set up, build, record what curl and dig ask nginx and dnsmasq, and show the calls
	@tests/deps demo
	@$(MAKE) -j$(JOBS) all
	@WITH_SUDO=1 tests/integration/record_traffic $(BUILD)/demo.pcap
	$(BUILD)/tapedeck dissect $(BUILD)/demo.pcap

check: all tests ## run the tests (T=word: only those whose path has the word)
	@BUILD=$(BUILD) T=$(T) CC="$(CC)" tests/run

large: all tests ## put and get objects of 2 GiB through every storage backend: takes minutes, and 10 GiB of memory and disk
	@BUILD=$(BUILD) tests/large

asan: ## run the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) -j$(JOBS) check BUILD=build/asan CC=clang CFLAGS="-O1 -g -fno-omit-frame-pointer" \
		SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all"

tsan: ## run the tests that use threads under ThreadSanitizer
	@$(MAKE) -j$(JOBS) check BUILD=build/tsan CC=clang CFLAGS="-O1 -g" SANITIZE="-fsanitize=thread" T="$(or $(T),threads)"

fuzz: ## fuzz F=pcap for S=60 seconds (libFuzzer, ASan, UBSan)
	@$(MAKE) -j$(JOBS) build/fuzz/fuzz_$(F) BUILD=build/fuzz CC=clang \
		CFLAGS="-O1 -g -fno-omit-frame-pointer -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION" \
		SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all"
	@mkdir -p build/fuzz/work/$(F)
	build/fuzz/fuzz_$(F) -max_total_time=$(or $(S),60) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix=build/fuzz/ build/fuzz/work/$(F) tests/fuzz/corpus/$(F)
build/fuzz/fuzz_%: $(OBJ)/tests/fuzz/fuzz_%.o $(TEST_OBJ) $(OBJ)/libcore.a $(OBJ)/libplugins.a
	@echo "  LINK $@"
	@$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer -rdynamic -o $@ $< $(TEST_OBJ) $(OBJ)/libcore.a $(OBJ)/libplugins.a $(OBJ)/libcore.a $(LDLIBS) $(PLUGIN_LIBS)

bless: all ## accept what the captures beside the dissectors give now, after showing the difference (T=word: only those)
	@BUILD=$(BUILD) T=$(T) tests/integration/golden.sh bless

conformance: all ## compare with expected facts: CORPUS=DIR
	@tests/conformance/run_corpus --tapedeck $(BUILD)/tapedeck --corpus $(CORPUS) $(ARGS)

CEL ?= ../shared/kfl/cel_open.jsonl
conformance-cel: $(BUILD)/tests/conformance/cel ## run conformance cases of CEL, one JSON object a line: CEL=FILE
	@$(BUILD)/tests/conformance/cel $(CEL) >$(BUILD)/cel.tap; status=$$?; grep -a -A4 '^not ok' $(BUILD)/cel.tap; \
		grep -a '^# skipped' $(BUILD)/cel.tap; tail -n 3 $(BUILD)/cel.tap | grep -a '^#'; exit $$status

KFL ?= ../shared/kfl
conformance-kfl: $(BUILD)/tests/conformance/kfl_examples ## compile documented filters: KFL=DIR with variables.json and kfl_examples.jsonl
	@$(BUILD)/tests/conformance/kfl_examples $(KFL) >$(BUILD)/kfl.tap; status=$$?; grep -a -A4 '^not ok' $(BUILD)/kfl.tap; \
		tail -n 3 $(BUILD)/kfl.tap | grep -a '^#'; exit $$status

bench: all $(BENCHES:%=$(BUILD)/%) ## measure against tshark, tcpdump and the machine's own limits
	@tests/bench/run --build $(BUILD)

docs: all ## write the pages that are made from tables
	@$(BUILD)/tapedeck fields -o markdown >sdk/fields.md

man: all ## write the manual pages, into BUILD/man
	@mkdir -p $(BUILD)/man
	@rm -f $(BUILD)/man/*.1
	@for page in $$($(BUILD)/tapedeck manual --list); do \
		command=$${page#tapedeck}; $(BUILD)/tapedeck manual $${command#-} >$(BUILD)/man/$$page.1 || exit 1; done

lint: ## layering, banned functions, cppcheck
	@tests/lint

fmt: ## format the C sources
	clang-format -i $(filter-out tests/conformance/abi/v% %/vectors.h,$(shell git ls-files '*.c' '*.h' '*.cc'))

deps: ## install the Debian packages that building and testing need
	tests/deps

install: all man ## install under PREFIX (with DESTDIR in front)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/include/tapedeck $(DESTDIR)$(PREFIX)/lib/tapedeck \
		$(DESTDIR)$(PREFIX)/share/tapedeck/configs $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -m 644 $(BUILD)/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	$(BUILD)/tapedeck completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/tapedeck
	$(BUILD)/tapedeck completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_tapedeck
	$(BUILD)/tapedeck completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/tapedeck.fish
	install -m 755 $(BUILD)/tapedeck $(DESTDIR)$(PREFIX)/bin/
	install -m 644 sdk/include/tapedeck/*.h $(DESTDIR)$(PREFIX)/include/tapedeck/
	install -m 644 sdk/plugin.mk $(DESTDIR)$(PREFIX)/lib/tapedeck/
	install -m 644 configs/*.yaml $(DESTDIR)$(PREFIX)/share/tapedeck/configs/
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	for unit in configs/systemd/*.service; do \
		sed 's,/usr/local/bin/,$(PREFIX)/bin/,' $$unit > $(DESTDIR)$(PREFIX)/lib/systemd/system/$$(basename $$unit); done
	for so in $(PLUGINS); do \
		install -d $(DESTDIR)$(PREFIX)/lib/tapedeck/plugins/$$(dirname $$so); \
		install -m 755 $(BUILD)/plugins/$$so.so $(DESTDIR)$(PREFIX)/lib/tapedeck/plugins/$$so.so; done

clean: ## remove what was built
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "  make %-15s %s\n", $$1, $$2}'

-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)
.SECONDARY:
