//! What `dev` tells people to type to ask the worker.

use std::net::SocketAddr;

use crate::app::Running;
use crate::config::Config;

/// The header that curl sends the token of the ops port with. The token itself is shown nowhere.
const BEARER: &str = "-H \"authorization: Bearer $OPS_TOKEN\" ";

/// The ops port as it is asked by hand.
#[derive(Clone, Copy)]
pub(super) struct Ops {
    address: SocketAddr,
    demands_token: bool,
}

impl Ops {
    /// That of `worker`, which runs with `config`.
    pub(super) fn of(worker: &Running, config: &Config) -> Self {
        Self { address: worker.ops_address, demands_token: config.ops.token.is_some() }
    }

    /// The command that asks it for `path`.
    pub(super) fn curl(self, path: &str) -> String {
        format!("curl {}http://{}{path}", if self.demands_token { BEARER } else { "" }, self.address)
    }

    /// The lines that say how to look at tasks and reminders, and how to advance the time where that is simulated, `times`
    /// as fast as the machine's.
    pub(super) fn commands(self, times: Option<f64>) -> String {
        let token = match self.demands_token {
            true => "\x20 token      export OPS_TOKEN=\u{2026}   # what ops.token is set to\n",
            false => "",
        };
        let time = times.map_or_else(String::new, |times| {
            let runs = if times > 1.0 { format!("runs {times} times as fast; ") } else { String::new() };
            format!("\x20 time       {runs}{} -d '{{\"advance\":\"2h\"}}'\n", self.curl("/dev/clock"))
        });
        let (look, follow) = (self.curl("/api/v1/tasks/t-1"), self.curl("/api/v1/reminders/stream"));
        format!("{token}\x20 look       {look}\n\x20 follow     {follow} -N\n{time}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_api_demands_a_token_every_command_for_it_sends_one_and_else_none_does() {
        let address = ([127, 0, 0, 1], 8080).into();
        let (open, guarded) = (Ops { address, demands_token: false }, Ops { address, demands_token: true });
        for times in [None, Some(1.0), Some(60.0)] {
            let (plain, told) = (open.commands(times), guarded.commands(times));
            assert!(!plain.contains("TOKEN"), "{plain}");
            let curls =
                told.lines().filter(|line| line.contains(&format!("curl {BEARER}http://127.0.0.1:8080/")));
            assert_eq!(curls.count(), 2 + usize::from(times.is_some()), "{told}");
            let (first, rest) = told.split_once('\n').unwrap();
            assert!(first.contains("export OPS_TOKEN="), "{told}");
            assert_eq!(rest.replace(BEARER, ""), plain);
        }
        let fast = "  time       runs 60 times as fast; curl http://127.0.0.1:8080/dev/clock -d '{\"advance\":\"2h\"}'\n";
        assert!(open.commands(Some(60.0)).ends_with(fast));
    }
}
