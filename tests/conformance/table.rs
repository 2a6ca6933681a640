//! What came out, as a table: a line for each scenario, a column for each sidecar and broker.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

/// Whether a scenario went as it should.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    Pass,
    /// A difference that is a known fact, with its reason.
    Listed(&'static str),
    Differs(String),
}

/// One scenario on one sidecar.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) scenario: String,
    pub(crate) column: String,
    pub(crate) verdict: Verdict,
}

/// All that was run, and what was not, with the reason.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    left_out: Vec<(String, String)>,
}

impl Table {
    pub(crate) fn extend(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    /// Says why a column is not there.
    pub(crate) fn leave_out(&mut self, column: String, why: &str) {
        self.left_out.push((column, why.to_owned()));
    }

    /// Prints everything; whether nothing differs.
    pub(crate) fn print(&self) -> bool {
        let columns: BTreeSet<&str> = self.rows.iter().map(|row| row.column.as_str()).collect();
        let mut lines: BTreeMap<&str, BTreeMap<&str, &Verdict>> = BTreeMap::new();
        for row in &self.rows {
            lines.entry(&row.scenario).or_default().insert(&row.column, &row.verdict);
        }
        let width = lines.keys().map(|scenario| scenario.chars().count()).max().unwrap_or_default();
        for (n, column) in columns.iter().enumerate() {
            println!("{:width$}  column {}: {column}", "", n + 1);
        }
        print!("{:width$}", "");
        (1..=columns.len()).for_each(|n| print!("  {n:<7}"));
        println!();
        for (scenario, verdicts) in &lines {
            print!("{scenario:width$}");
            for column in &columns {
                let word = match verdicts.get(column) {
                    None => "-",
                    Some(Verdict::Pass) => "pass",
                    Some(Verdict::Listed(_)) => "listed",
                    Some(Verdict::Differs(_)) => "DIFFERS",
                };
                print!("  {word:<7}");
            }
            println!();
        }
        self.print_totals(&columns);
        self.print_reasons()
    }

    fn print_totals(&self, columns: &BTreeSet<&str>) {
        for column in columns {
            let of = |wanted: fn(&Verdict) -> bool| {
                self.rows.iter().filter(|row| row.column == *column && wanted(&row.verdict)).count()
            };
            let (pass, listed) =
                (of(|v| matches!(v, Verdict::Pass)), of(|v| matches!(v, Verdict::Listed(_))));
            let differs = of(|v| matches!(v, Verdict::Differs(_)));
            println!("{column}: {pass} pass, {listed} listed, {differs} differ");
        }
        for (column, why) in &self.left_out {
            println!("{column}: not run: {why}");
        }
    }

    fn print_reasons(&self) -> bool {
        let mut none = true;
        for row in &self.rows {
            match &row.verdict {
                Verdict::Pass => {}
                Verdict::Listed(reason) => println!("listed: {} on {}: {reason}", row.scenario, row.column),
                Verdict::Differs(difference) => {
                    none = false;
                    println!("DIFFERS: {} on {}: {difference}", row.scenario, row.column);
                }
            }
        }
        none
    }
}

/// What somebody said who panicked.
pub(crate) fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
