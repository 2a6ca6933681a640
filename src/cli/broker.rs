//! Which broker the stand-in for Dapr has: one in memory with the habits of a known one, or a real Kafka.

use clap::ValueEnum;

use super::Failure;
use super::dev::host_and_port;
use crate::sidecar;

/// The flags that choose a broker.
#[derive(Debug, clap::Args)]
pub(super) struct BrokerOptions {
    /// The broker whose habits the stand-in has
    #[arg(long, value_enum, default_value_t = Profile::Kafka)]
    profile: Profile,
    /// Brokers of a real Kafka or Redpanda to run on, in place of one in memory
    #[arg(long, value_name = "HOST:PORT[,HOST:PORT]", value_parser = hosts_and_ports, conflicts_with = "profile")]
    kafka: Option<String>,
}

/// The broker whose habits the stand-in has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Profile {
    Kafka,
    Redis,
    InMemory,
}

impl BrokerOptions {
    /// Settings with the broker that was chosen; refused where this build cannot speak to it.
    pub(super) fn settings(&self) -> Result<sidecar::Settings, Failure> {
        if self.kafka.is_some() && !sidecar::KAFKA_BUILT_IN {
            return Err(Failure::usage(format!("--kafka: {}", sidecar::StartError::NoKafka)));
        }
        let profile = match self.profile {
            Profile::Kafka => sidecar::Profile::Kafka,
            Profile::Redis => sidecar::Profile::Redis,
            Profile::InMemory => sidecar::Profile::InMemory,
        };
        Ok(sidecar::Settings { profile, kafka: self.kafka.clone(), ..sidecar::Settings::default() })
    }
}

fn hosts_and_ports(text: &str) -> Result<String, String> {
    text.split(',').map(host_and_port).collect::<Result<Vec<_>, _>>().map(|list| list.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_a_list_of_hosts_and_ports() {
        for (text, good) in
            [("a:1", true), ("a:1,b:2", true), ("a", false), ("a:1,", false), ("a:1,b:x", false), ("", false)]
        {
            assert_eq!(hosts_and_ports(text).is_ok(), good, "{text}");
        }
    }
}
