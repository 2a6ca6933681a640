//! What people are told to type, against what is there.

use crate::pod::{OVERLAYS, config};
use crate::tree::{Faults, Tree, holds, join, list, text};

const GUIDE: &str = "k8s/README.md";

/// The lines of the blocks of shell of a page, continued ones as one.
pub(crate) fn commands(page: &str) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let joined = blocks.collect::<String>().replace("\\\n", " ");
    joined
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// The value of `flag` in a command.
pub(crate) fn flag<'a>(command: &'a str, flag: &str) -> Option<&'a str> {
    let mut words = command.split_whitespace();
    words.find(|word| *word == flag)?;
    words.next()
}

/// The paths below `k8s/` that a page names, wherever.
fn named_paths(page: &str) -> Vec<String> {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || "/._-".contains(c));
    let words = page.split(ends).filter(|word| word.starts_with("k8s/"));
    words.map(|word| word.trim_end_matches(['.', '/', '-']).to_owned()).collect()
}

#[test]
fn every_file_that_a_page_names_is_there() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let mut seen = 0;
        for page in [GUIDE, "README.md", "docs/dapr.md", "k8s/monitoring/alerts.yaml", "k8s/laptop/dapr.yaml"]
        {
            for path in named_paths(tree.text(page)) {
                seen += 1;
                faults.unless(path == "k8s" || tree.has(&path), format_args!("{page} names {path}"));
            }
        }
        // Links of the guide itself, to files beside it and above.
        let links = tree.text(GUIDE).split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links {
            let there = std::path::Path::new(&join("k8s", link)).exists();
            faults.unless(there, format_args!("{GUIDE} links to {link}"));
        }
        faults.unless(seen > 20, format_args!("only {seen} paths are named"));
    };
    holds(
        rule,
        &[
            (GUIDE, "apply -k k8s/overlays/dev", "apply -k k8s/overlay/dev"),
            (GUIDE, "-f k8s/redpanda/values-prod.yaml", "-f k8s/redpanda/prod.yaml"),
            (GUIDE, "](dapr/tracing)", "](dapr/traces)"),
            ("README.md", "k8s/README.md", "k8s/README.txt"),
            ("README.md", "dapr run -f k8s/laptop", "dapr run -f k8s/local"),
        ],
    );
}

#[test]
fn the_guide_shows_everything_that_is_there() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let table =
            tree.text(GUIDE).split("\n\n").find(|part| part.starts_with("| directory | what")).unwrap_or("");
        let values =
            ["k8s/dapr/values-dev.yaml", "k8s/dapr/values-prod.yaml", "k8s/smoke"].map(str::to_owned);
        let others = ["k8s/redpanda", "k8s/monitoring", "k8s/laptop"].map(str::to_owned);
        for path in tree.kustomizations("k8s").into_iter().chain(values).chain(others) {
            let link = format!("]({})", path.trim_start_matches("k8s/"));
            faults.unless(table.contains(&link), format_args!("{GUIDE} does not tell what {path} is"));
        }
    };
    holds(rule, &[(GUIDE, "](topics)", "](topic)"), (GUIDE, "[`dapr/redis`](dapr/redis)", "Redis")]);
}

#[test]
fn the_commands_use_the_names_of_the_manifests() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let (guide, readme) = (commands(tree.text(GUIDE)), commands(tree.text("README.md")));
        let config = config(tree);
        let namespace = text(&tree.document("k8s/overlays/dev/kustomization.yaml")["namespace"]).to_owned();
        let known = [&*namespace, "redpanda", "dapr-system", "cert-manager"];
        let kubernetes = |line: &&String| line.contains("kubectl ") || line.contains("helm ");
        for line in guide.iter().chain(&readme).filter(kubernetes) {
            if let Some(used) = flag(line, "-n") {
                faults.unless(known.contains(&used), format_args!("the namespace {used}: {line}"));
            }
            for (kind, name) in line.split_whitespace().filter_map(|word| word.split_once('/')) {
                let known = match kind {
                    "pod" => "reminder-worker-0",
                    "statefulset" => "reminder-worker",
                    "job" => "reminder-worker-topics",
                    _ => continue,
                };
                faults.unless_same(line, name, known);
            }
            if line.contains("port-forward") {
                let ports = format!(" 3500 {} &", config.ops.port);
                faults.unless(line.ends_with(&ports), format_args!("not the ports{ports}: {line}"));
            }
        }
        for overlay in OVERLAYS {
            let image = tree.document(&format!("{overlay}/kustomization.yaml"))["images"][0].clone();
            let name = image["newName"].as_str().map_or(text(&image["name"]), |name| name).to_owned();
            let built = format!("docker build -t {name}:{} .", text(&image["newTag"]));
            faults.unless(guide.contains(&built), format_args!("the guide does not say `{built}`"));
        }
        let token =
            tree.document("k8s/overlays/dev/kustomization.yaml")["secretGenerator"][0]["literals"].clone();
        let token = text(&list(&token)[0]).trim_start_matches("token=").to_owned();
        let smoke = format!("OPS_TOKEN={token} k8s/smoke");
        faults.unless(guide.contains(&smoke), format_args!("the guide does not say `{smoke}`"));
        faults.unless(readme.contains(&smoke), format_args!("the README does not say `{smoke}`"));
    };
    let dev = "k8s/overlays/dev/kustomization.yaml";
    holds(
        rule,
        &[
            (GUIDE, "kubectl -n reminders rollout", "kubectl -n default rollout"),
            (GUIDE, "pod/reminder-worker-0 3500 8080", "pod/reminder-worker-0 3500 8081"),
            (GUIDE, "statefulset/reminder-worker --timeout", "statefulset/worker --timeout"),
            (GUIDE, "docker build -t reminder-worker:dev", "docker build -t reminder-worker:latest"),
            (dev, "newTag: dev", "newTag: latest"),
            (dev, "token=minikube", "token=other"),
            ("README.md", "OPS_TOKEN=minikube", "OPS_TOKEN=token"),
            ("README.md", "pod/reminder-worker-0 3500", "pod/reminder-0 3500"),
        ],
    );
}

#[test]
fn the_readmes_commands_are_those_of_the_guide() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let guide = commands(tree.text(GUIDE));
        let section = tree.text("README.md").split("\n## ").find(|part| part.starts_with("Kubernetes\n"));
        let short = commands(section.unwrap_or_default());
        faults
            .unless(short.len() > 3, format_args!("the README has {} commands for Kubernetes", short.len()));
        for line in short.iter().filter(|line| !line.starts_with("dapr run")) {
            faults.unless(guide.contains(line), format_args!("the guide does not say `{line}`"));
        }
    };
    holds(
        rule,
        &[
            (
                "README.md",
                "kubectl apply -k k8s/overlays/dev",
                "kubectl apply -k k8s/overlays/prod -n reminders",
            ),
            (GUIDE, "minikube image load reminder-worker:dev", "minikube image load worker:dev"),
        ],
    );
}
