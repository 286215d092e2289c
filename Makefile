# What can be done here. `make help` lists it; the work itself is in scripts/, tests/ and bench/.

.DEFAULT_GOAL := help
.PHONY: help build install uninstall demo test lint fuzz corpus kernel matrix bench clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

# Where `make install` puts things, and what stands before that for whoever makes a package.
PREFIX ?= /usr/local
DESTDIR ?=

build: ## the programs, optimised: target/release/banger, target/release/bangerd
	@scripts/need.sh cc
	cargo build --release --locked -p banger

install: build ## the programs, manual pages, completions and units (PREFIX=/usr/local DESTDIR=)
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install.sh

uninstall: ## removes what `make install` has installed (PREFIX= and DESTDIR= as there)
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/uninstall.sh

demo: ## compiles banger, fetches a kernel, boots two machines
	@scripts/demo.sh

test: ## everything that must hold: lints, documentation, dependencies, all tests
	@scripts/test.sh

lint: ## format, prose, lints and documentation alone
	python3 scripts/prose.py
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

fuzz: ## a minute of each fuzz target (FUZZ_SECONDS=60)
	@scripts/fuzz.sh

corpus: ## the real images that the tests use, in target/corpus
	@scripts/need.sh cc busybox mmdebstrap python3 gzip zstd mount unshare flock
	@tests/corpus/build.sh target/corpus debian-min debian-edit debian-boot debian-openrc debian-mirror debian-next debian-supervisors busybox distroless scratch

kernel: ## what machines need besides QEMU: a kernel in target/kernel, vsock in target/tools
	@scripts/need.sh cc busybox depmod
	@scripts/tool.sh vhost-device-vsock 0.3.0
	@tests/boot/fetch-kernel.sh target/kernel
	@tests/boot/make-initrd.sh target/kernel

matrix: ## inits and kernels of three Debian releases, each booted (an hour without KVM)
	@tests/matrix/run.sh

bench: ## speed and memory, measured against the floor and against other tools
	@scripts/bench.sh

clean: ## removes everything that was built
	@scripts/as-root.sh rm -rf target
