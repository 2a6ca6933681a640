//! The flags by which a command is configured.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use crate::config::{Config, Inputs, Loaded, Override};

/// The variable that names the configuration file.
const CONFIG_VARIABLE: &str = "REMINDER_WORKER_CONFIG";

/// Configuration flags; they win over the environment, which wins over the file.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct ConfigOptions {
    /// Configuration file; without it REMINDER_WORKER_CONFIG names one, or the defaults hold
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set anything, such as `--set log.level=debug`; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<(String, String)>,
    /// Directory of the store (store.path)
    #[arg(long, value_name = "DIR")]
    pub(crate) store_path: Option<String>,
    /// Port Dapr calls (app.port)
    #[arg(long, value_name = "PORT")]
    pub(crate) app_port: Option<String>,
    /// Port of health, metrics and API (ops.port)
    #[arg(long, value_name = "PORT")]
    pub(crate) ops_port: Option<String>,
    /// Least level logged (log.level)
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

impl ConfigOptions {
    /// The configuration these flags and `env` make.
    pub(crate) fn load(&self, env: &[(OsString, OsString)]) -> Result<Loaded, Failure> {
        Ok(Config::load(&self.inputs(env))?)
    }

    /// The same with the file `over` laid over it.
    pub(crate) fn load_over(&self, env: &[(OsString, OsString)], over: &Path) -> Result<Loaded, Failure> {
        Ok(Config::load_over(&self.inputs(env), over)?)
    }

    fn inputs(&self, env: &[(OsString, OsString)]) -> Inputs {
        let set = self.set.iter().map(|(key, value)| Override {
            flag: "--set",
            key: key.clone(),
            value: value.clone(),
        });
        let named = [
            ("--store-path", "store.path", &self.store_path),
            ("--app-port", "app.port", &self.app_port),
            ("--ops-port", "ops.port", &self.ops_port),
            ("--log-level", "log.level", &self.log_level),
        ];
        let named = named.into_iter().filter_map(|(flag, key, value)| {
            Some(Override { flag, key: key.to_owned(), value: value.clone()? })
        });
        inputs(self.config.clone(), env, set.chain(named).collect())
    }
}

/// The configuration that `file`, else the file the environment names, with `env` and `flags` makes.
pub(super) fn load(
    file: Option<PathBuf>,
    env: &[(OsString, OsString)],
    flags: Vec<Override>,
) -> Result<Loaded, Failure> {
    Ok(Config::load(&inputs(file, env, flags))?)
}

fn inputs(file: Option<PathBuf>, env: &[(OsString, OsString)], flags: Vec<Override>) -> Inputs {
    let named = || env.iter().find(|(name, value)| name == CONFIG_VARIABLE && !value.is_empty());
    let file = file.or_else(|| named().map(|(_, value)| PathBuf::from(value)));
    Inputs { file, env: env.to_vec(), flags }
}

/// `KEY=VALUE`, parted at the first `=`.
pub(super) fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}
