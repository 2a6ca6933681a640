//! The configuration as an operator meets it: what is documented, who wins, and what is said of a mistake.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use reminder_worker::config::{BulkSubscribe, Config, DEFAULTS, Inputs, LogFormat, Override, Secret};
use tempfile::TempDir;

/// Inputs from a file's text, variables and `--set` flags; the directory keeps the file.
fn inputs(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> (TempDir, Inputs) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("worker.toml");
    std::fs::write(&path, file).unwrap();
    let flags = flags.iter().map(|(key, value)| Override {
        flag: "--set",
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    });
    let env = env.iter().map(|(name, value)| (name.into(), value.into())).collect();
    (dir, Inputs { file: Some(path), env, flags: flags.collect() })
}

fn load(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Config {
    let (_dir, inputs) = inputs(file, env, flags);
    Config::load(&inputs).map_err(|invalid| invalid.to_string()).unwrap().config
}

fn complaint(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
    let (_dir, inputs) = inputs(file, env, flags);
    Config::load(&inputs).expect_err("this configuration is wrong").to_string()
}

/// The settings that stand in a file, each with whether a comment stands right above it.
fn settings_of(text: &str) -> Vec<(String, bool)> {
    let (mut section, mut above, mut found) = ("", "", Vec::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            found.push((format!("{section}.{key}"), above.starts_with("# ")));
        }
        above = line;
    }
    found
}

/// The documentation rule: what is wrong with `text` as the documentation of `settings`.
fn documentation_faults(text: &str, settings: &[&str]) -> Vec<String> {
    let documented = settings_of(text);
    let named: BTreeSet<&str> = documented.iter().map(|(key, _)| key.as_str()).collect();
    let known: BTreeSet<&str> = settings.iter().copied().collect();
    let bare = documented.iter().filter(|(_, explained)| !explained).map(|(key, _)| format!("bare {key}"));
    let missing = known.difference(&named).map(|key| format!("missing {key}"));
    let unknown = named.difference(&known).map(|key| format!("unknown {key}"));
    bare.chain(missing).chain(unknown).collect()
}

#[test]
fn default_toml_documents_every_setting_and_no_other() {
    let loaded = Config::load(&Inputs::default()).unwrap();
    let settings: Vec<&str> = loaded.settings.iter().map(|setting| setting.key).collect();
    assert_eq!(documentation_faults(DEFAULTS, &settings), Vec::<String>::new());
    let order: Vec<String> = settings_of(DEFAULTS).into_iter().map(|(key, _)| key).collect();
    assert_eq!(order, settings, "check prints the settings in the order in which they are documented");
}

#[test]
fn an_undocumented_and_an_unknown_setting_are_both_found() {
    let text = "[store]\n# Where.\npath = \"data\"\ncache = 1\n";
    let faults = documentation_faults(text, &["store.path", "store.cache_mb"]);
    assert_eq!(faults, ["bare store.cache", "missing store.cache_mb", "unknown store.cache"]);
}

#[test]
fn the_built_in_defaults_are_those_of_default_toml() {
    let shipped = std::fs::read_to_string("config/default.toml").unwrap();
    assert_eq!(shipped, DEFAULTS);
    assert_eq!(load(&shipped, &[], &[]), Config::default());
    let defaults = Config::default();
    assert_eq!(defaults.store.path, PathBuf::from("data"));
    assert_eq!(defaults.app.address().to_string(), "127.0.0.1:8001");
    assert_eq!(defaults.ops.address().to_string(), "127.0.0.1:8080");
    assert_eq!(defaults.app.api_token, None);
    assert_eq!(defaults.dapr.bulk_subscribe, BulkSubscribe::Auto);
    assert_eq!(defaults.topics.dead_letter, None);
    assert_eq!(defaults.reminders.default_offsets, [0]);
    assert_eq!(defaults.reminders.expire_after, Duration::from_secs(24 * 60 * 60));
    assert_eq!(defaults.reminders.retention, Duration::from_secs(8 * 24 * 60 * 60));
    assert_eq!(defaults.log.format, LogFormat::Auto);
}

#[test]
fn every_shipped_file_is_valid_and_explains_what_it_changes() {
    for entry in std::fs::read_dir("config").unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        load(&text, &[], &[]);
        assert!(settings_of(&text).iter().all(|(_, explained)| *explained), "{}", path.display());
    }
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let file = "[publish]\nbatch_max = 2\n";
    let env = [("REMINDER_WORKER__PUBLISH__BATCH_MAX", "3")];
    assert_eq!(load("", &[], &[]).publish.batch_max, 256);
    assert_eq!(load(file, &[], &[]).publish.batch_max, 2);
    assert_eq!(load(file, &env, &[]).publish.batch_max, 3);
    let flags = [("publish.batch_max", "4"), ("publish.batch_max", "5")];
    assert_eq!(load(file, &env, &flags).publish.batch_max, 5);
}

#[test]
fn each_setting_tells_where_its_value_comes_from() {
    let (_dir, inputs) = inputs(
        "[log]\nlevel = \"warn\"\n",
        &[("APP_PORT", "9001"), ("APP_API_TOKEN", "hunter2")],
        &[("store.path", "/var/lib/worker")],
    );
    let file = inputs.file.clone().unwrap();
    let settings = Config::load(&inputs).unwrap().settings;
    let told = |key| {
        let setting = settings.iter().find(|setting| setting.key == key).unwrap();
        format!("{} ({})", setting.value, setting.source)
    };
    assert_eq!(told("log.level"), format!("\"warn\" (file {})", file.display()));
    assert_eq!(told("app.port"), "9001 (variable APP_PORT)");
    assert_eq!(told("app.api_token"), "\"***\" (variable APP_API_TOKEN)");
    assert_eq!(told("ops.token"), "\"\" (default)");
    assert_eq!(told("store.path"), "\"/var/lib/worker\" (flag --set)");
}

#[test]
fn dapr_own_variables_are_heard_below_the_worker_s_own() {
    let endpoint = |env: &[(&str, &str)]| load("", env, &[]).dapr.http_endpoint;
    assert_eq!(endpoint(&[("DAPR_HTTP_PORT", "3601")]), "http://127.0.0.1:3601");
    assert_eq!(endpoint(&[("DAPR_HTTP_PORT", "")]), "http://127.0.0.1:3500");
    let both = [("DAPR_HTTP_ENDPOINT", "http://dapr.local:80/"), ("DAPR_HTTP_PORT", "3601")];
    assert_eq!(endpoint(&both), "http://dapr.local");
    let all = [both[0], both[1], ("REMINDER_WORKER__DAPR__HTTP_ENDPOINT", "http://127.0.0.1:3602")];
    assert_eq!(endpoint(&all), "http://127.0.0.1:3602");
    let config = load("", &[("DAPR_API_TOKEN", "007"), ("APP_API_TOKEN", "true")], &[]);
    assert_eq!(config.dapr.api_token, Some(Secret::new("007")), "a token of digits stays text");
    assert_eq!(config.app.api_token, Some(Secret::new("true")));
}

#[test]
fn a_list_may_be_written_with_or_without_brackets_in_the_environment() {
    for (text, offsets) in
        [("0,15", vec![0, 15]), ("[60, 15, 15]", vec![15, 60]), ("", vec![]), ("[]", vec![])]
    {
        let config = load("", &[("REMINDER_WORKER__REMINDERS__DEFAULT_OFFSETS", text)], &[]);
        assert_eq!(config.reminders.default_offsets, offsets, "{text}");
    }
}

#[test]
fn offsets_of_a_priority_may_be_unset_which_is_not_the_same_as_none() {
    let of = |text: &str| {
        load("", &[("REMINDER_WORKER__REMINDERS__HIGH_OFFSETS", text)], &[]).reminders.high_offsets
    };
    for (text, offsets) in [("", None), ("[]", Some(vec![])), ("60,0", Some(vec![0, 60]))] {
        assert_eq!(of(text), offsets, "{text}");
    }
    let file = load("[reminders]\nlow_offsets = []\nmedium_offsets = \"\"\n", &[], &[]).reminders;
    assert_eq!((file.low_offsets, file.medium_offsets, file.high_offsets), (Some(vec![]), None, None));
    let told = complaint("", &[], &[("reminders.low_offsets", "1h")]);
    assert!(told.contains("from 0 to 5270400, or \"\" for reminders.default_offsets"), "{told}");
}

#[test]
fn topics_differ_where_they_are_set() {
    assert_eq!(load("", &[], &[]).topics.heard().count(), 3);
    let config = load("", &[], &[("topics.reminder_actions", "acts")]);
    assert_eq!(
        config.topics.heard().collect::<Vec<_>>(),
        ["task-events", "task-updates", "reminders", "acts"]
    );
    for (key, value) in [("topics.reminder_actions", "reminders"), ("topics.dead_letter", "task-events")] {
        assert!(complaint("", &[], &[(key, value)]).contains("a name that no other topic has"), "{key}");
    }
}

#[test]
fn every_bound_is_kept_on_both_sides() {
    for (key, inside, outside) in [
        ("store.cache_mb", ["1", "16384"], ["0", "16385"]),
        ("store.reserve_mb", ["0", "1048576"], ["-1", "1048577"]),
        ("app.port", ["0", "65535"], ["-1", "65536"]),
        ("dapr.publish_timeout", ["100ms", "5m"], ["99ms", "301s"]),
        ("reminders.spread", ["0s", "1h"], ["-1s", "61m"]),
        ("reminders.expire_after", ["1m", "366d"], ["59s", "367d"]),
        ("reminders.retention", ["1h", "3660d"], ["59m", "3661d"]),
        ("publish.batch_max", ["1", "1000"], ["0", "1001"]),
        ("publish.in_flight_max", ["1", "64"], ["0", "65"]),
        ("publish.backoff_initial", ["10ms", "5s"], ["9ms", "5001ms"]),
        ("publish.backoff_max", ["200ms", "1h"], ["199ms", "3601s"]),
        ("quarantine.max_entries", ["1", "1000000"], ["0", "1000001"]),
        ("quarantine.max_mb", ["4", "65536"], ["3", "65537"]),
        ("outbox.max_mb", ["1", "65536"], ["0", "65537"]),
        ("canary.every", ["1m", "1h"], ["59s", "61m"]),
        ("health.overdue_limit", ["1s", "1d"], ["999ms", "86401s"]),
        ("health.heartbeat_limit", ["2s", "1h"], ["1999ms", "3601s"]),
        ("shutdown.grace", ["100ms", "10m"], ["99ms", "601s"]),
        ("reminders.default_offsets", ["0", "5270400"], ["-1", "5270401"]),
        ("reminders.high_offsets", ["0", "5270400"], ["-1", "5270401"]),
        ("reminders.nag_every", ["1m", "5270400m"], ["59s", "5270401m"]),
        ("reminders.nag_every", ["0s", "90m"], ["1ms", "90s"]),
        ("reminders.nag_max", ["1", "16"], ["0", "17"]),
    ] {
        for value in inside {
            load("", &[], &[(key, value)]);
        }
        for value in outside {
            assert!(complaint("", &[], &[(key, value)]).contains("is not allowed"), "{key} = {value}");
        }
    }
    let of = |n: usize| vec!["0"; n].join(",");
    load("", &[], &[("reminders.default_offsets", &of(16))]);
    complaint("", &[], &[("reminders.default_offsets", &of(17))]);
    load("", &[], &[("dapr.pubsub", &"p".repeat(249))]);
    complaint("", &[], &[("dapr.pubsub", &"p".repeat(250))]);
}

#[test]
fn a_wrong_value_is_told_with_place_key_value_and_what_is_allowed() {
    for (key, value, told) in [
        ("publish.batch_max", "many", "\"many\" is not allowed; write a whole number from 1 to 1000"),
        ("reminders.receipts", "yes", "\"yes\" is not allowed; write true or false"),
        ("log.format", "xml", "\"xml\" is not allowed; write one of auto, text, json"),
        (
            "canary.every",
            "10s",
            "\"10s\" is not allowed; write a duration of whole minutes from 1m to 1h, such as 5m or 30m, or 0s for never",
        ),
        (
            "publish.backoff_max",
            "2h",
            "\"2h\" is not allowed; write a duration from 10ms to 1h, such as 200ms, 10s or 5m",
        ),
        ("shutdown.grace", "10", "\"10\" is not allowed; write a duration from 100ms to 10m, such as 200ms"),
        ("app.host", "localhost", "\"localhost\" is not allowed; write an IP address such as 127.0.0.1"),
        ("dapr.http_endpoint", "https://a", "\"https://a\" is not allowed; write an http:// URL such as"),
        ("reminders.default_timezone", "Mars/One", "\"Mars/One\" is not allowed; write an IANA zone"),
        ("reminders.date_only_time", "25:00", "\"25:00\" is not allowed; write a time of day such as 09:00"),
        (
            "reminders.default_offsets",
            "1h",
            "\"1h\" is not allowed; write a list of at most 16 whole numbers",
        ),
        ("store.path", "", "\"\" is not allowed; write the path of a directory"),
        ("topics.reminders", "a b", "\"a b\" is not allowed; write 1 to 249 of the characters"),
    ] {
        let variable = format!("REMINDER_WORKER__{}", key.to_uppercase().replace('.', "__"));
        let expected = format!("variable {variable}: {key} = {told}");
        let complaint = complaint("", &[(&variable, value)], &[]);
        assert!(complaint.starts_with(&expected), "{complaint}");
    }
    let (_dir, inputs) = inputs("[store]\ncache_mb = \"32\"\n", &[], &[]);
    let file = inputs.file.clone().unwrap();
    let expected = format!("file {}: store.cache_mb = \"32\" is not allowed; ", file.display());
    assert!(Config::load(&inputs).unwrap_err().to_string().starts_with(&expected));
}

#[test]
fn an_unknown_setting_is_an_error_that_names_the_known_ones() {
    let outbox = "there is no setting `outbox.max`; [outbox] has max_mb";
    assert!(complaint("[outbox]\nmax = 1\n", &[], &[]).ends_with(outbox));
    assert!(complaint("", &[("REMINDER_WORKER__OUTBOX__MAX", "1")], &[]).ends_with(outbox));
    assert_eq!(complaint("", &[], &[("outbox.max", "1")]), format!("flag --set: {outbox}"));
    let sections = complaint("", &[], &[("outbocks.max_mb", "1")]);
    assert!(
        sections.contains("the sections are store, backup, restore, app, ops, dapr, topics,"),
        "{sections}"
    );
}

#[test]
fn a_variable_that_is_parted_wrongly_is_an_error_that_names_the_right_one() {
    for (wrong, right) in [
        ("REMINDER_WORKER_STORE_PATH", "REMINDER_WORKER__STORE__PATH"),
        ("REMINDER_WORKER_OPS__TOKEN", "REMINDER_WORKER__OPS__TOKEN"),
        ("REMINDER_WORKER_STORE_CACHE_MB", "REMINDER_WORKER__STORE__CACHE_MB"),
    ] {
        let told = complaint("", &[(wrong, "16")], &[]);
        assert!(told.contains(wrong) && told.ends_with(right), "{told}");
    }
    // Kubernetes gives each pod the services of its namespace.
    let of_services = [
        ("REMINDER_WORKER_SERVICE_HOST", "10.0.0.1"),
        ("REMINDER_WORKER_PORT", "tcp://10.0.0.1:8080"),
        ("REMINDER_WORKER_OPS_PORT", "tcp://10.0.0.1:8080"),
    ];
    assert_eq!(load("", &of_services, &[]), Config::default());
}

#[test]
fn all_problems_are_told_at_once() {
    let told = complaint("[outbox]\nmax = 1\n", &[("APP_PORT", "http")], &[("log.level", "loud")]);
    assert_eq!(told.lines().count(), 3, "{told}");
}

#[test]
fn two_listeners_on_one_port_are_refused_unless_the_system_chooses() {
    let told = complaint("", &[], &[("app.port", "8001"), ("ops.port", "8001")]);
    assert!(told.contains("ops.port") && told.contains("another port than app.port"), "{told}");
    assert_eq!(load("", &[], &[("app.port", "0"), ("ops.port", "0")]).ops.port, 0);
}

#[test]
fn a_limit_on_canaries_is_taken_within_its_bounds_and_only_where_canaries_are_sent() {
    for limit in ["1m", "1d"] {
        load("", &[], &[("canary.ready_limit", limit), ("canary.every", "1h")]);
        let told = complaint("", &[], &[("canary.ready_limit", limit)]);
        assert!(told.contains("canary.ready_limit") && told.contains("or set canary.every"), "{told}");
    }
    load("", &[], &[("canary.ready_limit", "0s")]);
    for limit in ["90s", "1441m"] {
        let told = complaint("", &[], &[("canary.ready_limit", limit), ("canary.every", "1h")]);
        assert!(told.contains("from 1m to 1d"), "{told}");
    }
}

#[test]
fn backups_lie_outside_of_the_store() {
    for (store, dir) in [
        ("data", "data"),
        ("data", "data/backups"),
        ("/var/lib/a", "/var/lib/a/b/c"),
        ("/var/lib/a/", "/var/lib/b/../a/c"),
    ] {
        let told = complaint("", &[], &[("store.path", store), ("backup.dir", dir)]);
        assert!(told.contains("backup.dir") && told.contains("outside of store.path"), "{told}");
    }
    for (store, dir) in
        [("data", ""), ("data", "data.backups"), ("data/store", "data"), ("data", "data/../b")]
    {
        load("", &[], &[("store.path", store), ("backup.dir", dir)]);
    }
}

#[test]
fn a_listener_in_reach_of_others_demands_a_token() {
    for (key, token) in [("ops.host", "ops.token"), ("app.host", "app.api_token")] {
        for host in ["127.0.0.1", "127.0.0.2", "::1"] {
            load("", &[], &[(key, host)]);
        }
        for host in ["0.0.0.0", "::", "10.0.0.1"] {
            let told = complaint("", &[], &[(key, host)]);
            let wanted = [format!("{key} = \"{host}\""), format!("set {token}")];
            assert!(wanted.iter().all(|text| told.contains(text)), "{told}");
            load("", &[], &[(key, host), (token, "hunter2")]);
        }
    }
    load("", &[("APP_API_TOKEN", "hunter2")], &[("app.host", "0.0.0.0")]);
}

#[test]
fn a_key_of_users_tokens_is_long_and_never_without_the_operators_token() {
    let key = "k".repeat(32);
    assert_eq!(
        load("", &[], &[("ops.token", "t"), ("ops.user_key", &key)]).ops.user_key,
        Some(Secret::new(&*key))
    );
    let short = complaint("", &[], &[("ops.token", "t"), ("ops.user_key", &key[1..])]);
    assert!(short.contains("at least 32 characters") && !short.contains(&key[1..]), "{short}");
    let alone = complaint("", &[], &[("ops.user_key", &key)]);
    assert!(alone.contains("it beside ops.token") && !alone.contains(&key), "{alone}");
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let backoff = [("publish.backoff_initial", "2s"), ("publish.backoff_max", "1s")];
    assert!(complaint("", &[], &backoff).contains("write at most publish.backoff_max"));
    let same = [("topics.dead_letter", "reminders")];
    assert!(complaint("", &[], &same).contains("write a name that no other topic has"));
}

#[test]
fn only_the_first_replica_may_run_and_the_others_are_told_why() {
    let ordinal = "REMINDER_WORKER__REPLICA__ORDINAL";
    load("", &[(ordinal, "0")], &[]);
    for second in ["1", "2147483647"] {
        let told = complaint("", &[(ordinal, second)], &[]);
        let wanted = format!(
            "variable {ordinal}: replica.ordinal = {second} is not allowed; write 0, and run one replica"
        );
        assert!(told.starts_with(&wanted) && told.contains("one writer"), "{told}");
    }
    assert!(complaint("", &[(ordinal, "2147483648")], &[]).contains("a whole number from 0 to 2147483647"));
    assert!(complaint("", &[(ordinal, "reminder-worker-0")], &[]).contains("a whole number"));
}

#[test]
fn no_message_and_no_listing_shows_a_secret() {
    let secret = "hunter two";
    let wrong = complaint("", &[("APP_API_TOKEN", secret)], &[("ops.token", secret)]);
    assert!(wrong.contains("\"***\"") && !wrong.contains("hunter"), "{wrong}");
    let torn = complaint("[ops]\ntoken = \"hunter2\n", &[], &[]);
    assert!(torn.contains("line 2 is not TOML") && !torn.contains("hunter"), "{torn}");
    let number = complaint("[ops]\ntoken = 4711\n", &[], &[]);
    assert!(!number.contains("4711"), "{number}");
    let config = load("", &[("DAPR_API_TOKEN", "hunter2")], &[]);
    assert!(!format!("{config:?}").contains("hunter"));
}

#[test]
fn a_file_that_is_not_there_says_how_to_name_another() {
    let inputs = Inputs { file: Some("no/such.toml".into()), ..Inputs::default() };
    let told = Config::load(&inputs).unwrap_err().to_string();
    assert!(told.starts_with("file no/such.toml: ") && told.contains("--config"), "{told}");
}

#[test]
fn a_file_laid_over_a_configuration_wins_over_flags_and_is_named_where_it_is_wrong() {
    let flags = [("reminders.default_offsets", "5"), ("reminders.retention", "9d")];
    let (dir, inputs) = inputs("", &[], &flags);
    let over = dir.path().join("over.toml");
    std::fs::write(&over, "[reminders]\ndefault_offsets = [15]\n").unwrap();
    let config = Config::load_over(&inputs, &over).unwrap().config;
    assert_eq!(config.reminders.default_offsets, [15]);
    assert_eq!(config.reminders.retention, Duration::from_secs(9 * 24 * 3600), "what it does not name stays");
    std::fs::write(&over, "[reminders]\noffsets = [15]\n").unwrap();
    let told = Config::load_over(&inputs, &over).unwrap_err().to_string();
    assert!(told.starts_with(&format!("file {}: there is no setting", over.display())), "{told}");
    let told = Config::load_over(&inputs, &dir.path().join("none.toml")).unwrap_err().to_string();
    assert!(told.contains("none.toml: ") && !told.contains("--config"), "{told}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_named() {
    use std::os::unix::ffi::OsStringExt as _;
    let env = vec![("REMINDER_WORKER__STORE__PATH".into(), std::ffi::OsString::from_vec(vec![0xff]))];
    let told = Config::load(&Inputs { env, ..Inputs::default() }).unwrap_err().to_string();
    assert_eq!(told, "variable REMINDER_WORKER__STORE__PATH: it holds no UTF-8 text");
}
