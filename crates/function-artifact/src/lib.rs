//! Builds the rotation function and packs it into the zip that Lambda takes: the same source gives
//! the same bytes, whoever builds it and wherever.
//!
//! The zip's digest is how the CLI tells whether a deployed function is up to date, so anything that
//! differs between two machines (paths, clocks, umask) would show up as drift.

mod pack;

pub use pack::{PackError, add_ca_bundle, check, pack};

use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Name of the zip in the target directory.
pub const ZIP_NAME: &str = "pgrotate-function.zip";

/// The newest glibc symbol version a function may need: `provided.al2023` ships glibc 2.34.
pub const NEWEST_GLIBC: (u32, u32) = (2, 34);

/// Profile of the workspace's `Cargo.toml` the function is built with.
const PROFILE: &str = "rotation";

/// What to build and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of the workspace's `Cargo.toml` and `Cargo.lock`.
    pub workspace_root: PathBuf,
    /// Target directory of the nested build. It must not be the one of a cargo that is waiting for this
    /// build: the two would wait for each other, silently.
    pub target_dir: PathBuf,
    /// The cargo to run.
    pub cargo: PathBuf,
    /// A target triple; None builds for the host.
    pub target: Option<String>,
}

impl Options {
    /// Builds in `target/function` of the workspace, with the cargo that runs us or else the one on `PATH`.
    pub fn in_workspace(workspace_root: impl Into<PathBuf>) -> Self {
        let workspace_root = workspace_root.into();
        Self {
            target_dir: workspace_root.join("target").join("function"),
            workspace_root,
            cargo: std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from),
            target: None,
        }
    }
}

/// A built zip.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Where it was written: [`ZIP_NAME`] in the target directory.
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

impl Artifact {
    /// SHA-256 of the zip.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }
}

/// `bytes` in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why no zip could be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("cannot run {}", cargo.display())]
    Start { cargo: PathBuf, source: std::io::Error },
    #[error("cargo did not build the function ({status}); its own messages are above")]
    Cargo { status: std::process::ExitStatus },
    #[error("cannot read or write {}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error(
        "the function needs glibc {}.{}, and Lambda's provided.al2023 has {}.{}: build it on a system with an older glibc",
        found.0, found.1, NEWEST_GLIBC.0, NEWEST_GLIBC.1
    )]
    Glibc { found: (u32, u32) },
    #[error(transparent)]
    Pack(#[from] PackError),
}

/// Builds the function, packs it and writes the zip into the target directory.
///
/// Takes some minutes of processor time the first time (305 seconds measured), seconds when nothing
/// changed. Cargo's messages go to standard error.
pub fn build(options: &Options) -> Result<Artifact, BuildError> {
    let status =
        cargo(options).status().map_err(|source| BuildError::Start { cargo: options.cargo.clone(), source })?;
    if !status.success() {
        return Err(BuildError::Cargo { status });
    }
    let mut binary = options.target_dir.clone();
    binary.extend(options.target.as_deref());
    binary.extend([PROFILE, "bootstrap"]);
    let bootstrap = std::fs::read(&binary).map_err(|source| BuildError::File { path: binary, source })?;
    if let Some(found) = highest_glibc(&bootstrap).filter(|found| *found > NEWEST_GLIBC) {
        return Err(BuildError::Glibc { found });
    }
    let bytes = pack(&bootstrap)?;
    let path = options.target_dir.join(ZIP_NAME);
    std::fs::write(&path, &bytes).map_err(|source| BuildError::File { path: path.clone(), source })?;
    Ok(Artifact { path, bytes })
}

/// The highest `GLIBC_x.y` symbol version named in an ELF file; None when it names none (a static binary).
///
/// Reads the names wherever they stand instead of the version table: a name that is not in the table
/// could only make the answer too high, which refuses a binary and never lets one through.
pub fn highest_glibc(elf: &[u8]) -> Option<(u32, u32)> {
    const MARK: &[u8] = b"GLIBC_";
    elf.windows(MARK.len())
        .enumerate()
        .filter(|(_, window)| *window == MARK)
        .filter_map(|(at, _)| {
            let digits = elf[at + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.');
            let text: String = digits.map(|byte| char::from(*byte)).collect();
            let mut numbers = text.split('.').map(str::parse::<u32>);
            Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
        })
        .max()
}

fn cargo(options: &Options) -> Command {
    let mut command = Command::new(&options.cargo);
    for (name, _) in std::env::vars_os() {
        if changes_the_build(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    let maps = path_maps(options);
    let rust: Vec<OsString> = maps.iter().map(|map| flag("--remap-path-prefix=", map)).collect();
    // Unit separators, not spaces: a path may hold a space. This variable also outranks any
    // `rustflags` of a cargo configuration file.
    command.env("CARGO_ENCODED_RUSTFLAGS", rust.join(std::ffi::OsStr::new("\u{1f}")));
    // aws-lc is C, and its error records name the source file. Quoted as a shell would: a path may hold a space.
    let quoted = |map| format!("'{}'", flag("-ffile-prefix-map=", map).to_string_lossy().replace('\'', "'\\''"));
    command.env("CFLAGS", maps.iter().map(quoted).collect::<Vec<_>>().join(" "));
    command.env("CC_SHELL_ESCAPED_FLAGS", "1");
    command.current_dir(&options.workspace_root);
    command.args(["build", "--locked", "--package", "rotation-function", "--bin", "bootstrap", "--profile", PROFILE]);
    command.arg("--target-dir").arg(&options.target_dir);
    if let Some(target) = &options.target {
        command.args(["--target", target]);
    }
    command
}

/// Whether an environment variable must not reach the nested cargo. What only says where crates come
/// from stays: the lock file's checksums decide what they are.
fn changes_the_build(name: &str) -> bool {
    const KEPT: [&str; 5] = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_SOURCE_"];
    let cargo = (name.starts_with("CARGO_") || name == "CARGO") && !KEPT.iter().any(|kept| name.starts_with(kept));
    cargo || name == "RUSTC" || name.starts_with("RUSTC_") || name == "RUSTFLAGS" || name.starts_with("CFLAGS")
}

/// Prefixes of this machine, and what stands for them in the binary.
fn path_maps(options: &Options) -> Vec<(PathBuf, &'static str)> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let mut maps = vec![(options.workspace_root.clone(), "/pgrotate"), (options.target_dir.clone(), "/build")];
    if let Some(sources) = home.map(|home| home.join("registry").join("src")) {
        // Below it lies a folder named after the registry in use. The last matching prefix wins.
        maps.push((sources.clone(), "/registry"));
        let folders = std::fs::read_dir(&sources).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = folders.map(|entry| entry.path()).collect();
        folders.sort();
        maps.extend(folders.into_iter().map(|folder| (folder, "/crates")));
    }
    maps
}

fn flag(name: &str, (from, to): &(PathBuf, &str)) -> OsString {
    let mut flag = OsString::from(name);
    flag.push(from);
    flag.push("=");
    flag.push(Path::new(to));
    flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_symbol_version_is_compared_as_numbers() {
        assert_eq!(highest_glibc(b"..GLIBC_2.4\0GLIBC_2.34\0GLIBC_2.9\0"), Some((2, 34)));
        assert_eq!(highest_glibc(b"GLIBC_2.2.5\0"), Some((2, 2)));
        assert_eq!(highest_glibc(b"GLIBC_PRIVATE\0GLIBC_"), None);
    }

    #[test]
    fn only_what_says_where_crates_come_from_reaches_the_nested_build() {
        for name in
            ["CARGO", "CARGO_TARGET_DIR", "CARGO_PKG_NAME", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "RUSTC_WRAPPER"]
        {
            assert!(changes_the_build(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_NET_OFFLINE", "PATH", "RUSTUP_TOOLCHAIN"] {
            assert!(!changes_the_build(name), "{name}");
        }
    }
}
