//! Where a real daprd is looked for, and what it says it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A daprd that runs here.
#[derive(Clone)]
pub(crate) struct Daprd {
    pub(crate) path: PathBuf,
    pub(crate) version: String,
}

/// `DAPRD`, then `PATH`, then where `dapr init` puts it. A `DAPRD` that does not run is an error, never passed over.
pub(crate) fn daprd() -> Result<Option<Daprd>, String> {
    let named = std::env::var_os("DAPRD").filter(|named| !named.is_empty()).map(PathBuf::from);
    let dapr_init = std::env::var_os("HOME").map(|home| Path::new(&home).join(".dapr/bin/daprd"));
    let elsewhere = || in_path("daprd").or(dapr_init.filter(|path| path.is_file()));
    let Some(path) = named.or_else(elsewhere) else { return Ok(None) };
    let version = version(&path).map_err(|why| format!("{}: {why}", path.display()))?;
    Ok(Some(Daprd { path, version }))
}

/// The first program of this name in `PATH`.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path: OsString = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn version(path: &Path) -> Result<String, String> {
    let output = Command::new(path).arg("--version").output().map_err(|e| format!("does not run: {e}"))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && !said.is_empty() { Ok(said) } else { Err("tells no --version".to_owned()) }
}
