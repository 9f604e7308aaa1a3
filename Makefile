# A thin face over meson and ninja; each target works alone on a bare Debian 12.
#
#   make build   the release binary, build/usher
#   make run     usher on http://localhost:8080 in front of three built-in origins
#   make test    everything that can be checked; ends with "N passed, M failed"
#   make bench   usher beside nginx, HAProxy, H2O, Varnish, Traffic Server, a bare forwarder and bare sends (QUICK=1: under four minutes)
#   make fuzz    each fuzz target for SECONDS=60
#   make docs    docs/configuration.md, written anew from the program's own tables
#   make install DESTDIR= PREFIX=/usr/local
#   make clean
# On success they say little; on failure, what failed.

PREFIX ?= /usr/local
DESTDIR ?=
SECONDS ?= 60
QUICK ?=
TESTS ?=

JOBS := $(shell nproc)
RELEASE := --buildtype=release -Db_lto=true -Db_ndebug=false -Dtests=disabled

.PHONY: build run test bench fuzz docs install clean format

build: build/build.ninja
	@tools/quietly build-release ninja -C build -j$(JOBS) usher

build/build.ninja: tools/install-packages
	@tools/install-packages build
	@tools/quietly setup-release meson setup --prefix=$(PREFIX) $(RELEASE) build $(if $(wildcard build/meson-private),--reconfigure)

run: build
	@build/usher demo

test:
	@tools/install-packages test
	@tools/run-tests $(TESTS)

bench: build
	@tools/install-packages bench
	@tools/quietly build-bench ninja -C build -j$(JOBS) bench/floor bench/origin bench/load bench/tls_load bench/libcount_malloc.so bench/bench_pools bench/bench_policies
	@bench/run $(if $(QUICK),--quick)

fuzz:
	@tools/install-packages test
	@tools/run-fuzz --seconds $(SECONDS)

docs: build
	@build/usher reference >build/configuration.md && mv build/configuration.md docs/configuration.md

install: build
	@tools/install-files "$(DESTDIR)" "$(PREFIX)"

format:
	@tools/install-packages test
	@clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	@rm -rf build build-san build-fuzz build-tsan build-grpc build-openid build-cache_suite
