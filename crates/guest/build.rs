//! Builds the agent and puts it where `src/agent.rs` embeds it from.
//!
//! The agent is a static program of its own, with a profile of its own (`agent` in the workspace's `Cargo.toml`), so another
//! cargo builds it, into this crate's build directory. That cargo gets nothing of what the outer one was told for itself: wrappers of
//! rustc (clippy is one), flags, the directory of targets.
//!
//! `BANGER_AGENT=FILE` embeds a finished agent instead: for builders whose linker cannot make a static program for the target.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The name of the agent's binary, there and here.
const NAME: &str = "banger-vsock-agent";
/// The cargo profile that the agent is built with.
const PROFILE: &str = "agent";
/// What the outer cargo, or its user, has set for the outer build alone.
const FOREIGN: [&str; 10] = [
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_TARGET_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "CLIPPY_ARGS",
];
/// Separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\x1f";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let embedded = Path::new(&variable("OUT_DIR")?).join(NAME);
    println!("cargo::rerun-if-env-changed=BANGER_AGENT");
    let agent = match std::env::var_os("BANGER_AGENT").filter(|path| !path.is_empty()) {
        Some(path) => {
            println!("cargo::rerun-if-changed={}", Path::new(&path).display());
            PathBuf::from(path)
        }
        None => build()?,
    };
    std::fs::copy(&agent, &embedded)
        .map_err(|error| format!("cannot copy {} to {}: {error}", agent.display(), embedded.display()))?;
    Ok(())
}

/// Builds the agent for the target that this crate is built for, and says where it is.
fn build() -> Result<PathBuf, String> {
    let crates = Path::new(&variable("CARGO_MANIFEST_DIR")?).parent().map(Path::to_owned).unwrap_or_default();
    let workspace = crates.parent().map(Path::to_owned).unwrap_or_default();
    for path in ["agent/Cargo.toml", "agent/src", "protocol/Cargo.toml", "protocol/src"] {
        println!("cargo::rerun-if-changed={}", crates.join(path).display());
    }
    for path in ["Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }
    let target = variable("TARGET")?.into_string().map_err(|_| "the name of the target is no text")?;
    if variable("CARGO_CFG_TARGET_OS")? != "linux" {
        return Err(format!("the agent runs in Linux guests only, and the target is {target}"));
    }
    let directory = Path::new(&variable("OUT_DIR")?).join("agent");
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.args(["build", "--locked", "--quiet", "--package", "banger-agent", "--bin", NAME]);
    cargo.args(["--profile", PROFILE, "--target", &target, "--target-dir"]).arg(&directory);
    cargo.arg("--manifest-path").arg(crates.join("agent/Cargo.toml"));
    for name in FOREIGN {
        cargo.env_remove(name);
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(&workspace)?);
    let output = cargo.output().map_err(|error| format!("cannot start {cargo:?}: {error}"))?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        let hint = if messages.contains("cannot find -lc") {
            "\n\nThe agent is a static program: install the C library's archive, libc.a, for the target (Debian: libc6-dev, \
             Fedora: glibc-static), or name a finished agent in BANGER_AGENT."
        } else {
            ""
        };
        return Err(format!("the agent could not be built for {target}\n\n{messages}{hint}"));
    }
    Ok(directory.join(target).join(PROFILE).join(NAME))
}

/// Static, and without the paths of whoever builds it: they would make its bytes, and with them those of images, depend on
/// the place of the build.
fn flags(workspace: &Path) -> Result<OsString, String> {
    let mut flags = OsString::from("-Ctarget-feature=+crt-static");
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    for (path, shown) in [(Some(workspace), "/banger"), (home.as_deref(), "/cargo")] {
        let Some(path) = path else { continue };
        flags.push(SEPARATOR);
        flags.push("--remap-path-prefix=");
        flags.push(path);
        flags.push("=");
        flags.push(shown);
    }
    Ok(flags)
}

fn variable(name: &str) -> Result<OsString, String> {
    std::env::var_os(name).ok_or_else(|| format!("cargo has not set {name}"))
}
