//! The picture: one row a setting, arrivals a second over time, by priority.

use std::fmt::Write as _;

use super::{AHEAD, Arrival, PRIORITIES, Run, TASKS, USERS};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 60.0;
const ROW: f64 = 190.0;
const TOP: f64 = 70.0;
const PLOT: f64 = 120.0;
/// Milliseconds a bar.
const BAR: i64 = 500;
/// What is shown, in milliseconds after due.
const FROM: i64 = -35_000;
const TO: i64 = 100_000;
const COLOURS: [&str; 3] = ["#b3261e", "#e8a33d", "#5b8fb9"];

/// The picture as SVG.
pub(crate) fn draw(runs: &[Run]) -> String {
    let height = TOP + ROW * runs.len() as f64 + 20.0;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="#ffffff"/><text x="{LEFT}" y="28" font-size="18">{TASKS} tasks of {USERS} users, all due at one instant</text>"##
    );
    let _ = write!(
        svg,
        r##"<text x="{LEFT}" y="48" fill="#555">reminders a second as the broker sees them, created up to {} s before</text>"##,
        AHEAD.as_secs()
    );
    for (n, (priority, colour)) in PRIORITIES.iter().zip(COLOURS).enumerate() {
        let x = 640.0 + n as f64 * 85.0;
        let _ = write!(
            svg,
            r##"<rect x="{x}" y="18" width="12" height="12" fill="{colour}"/><text x="{}" y="29">{priority}</text>"##,
            x + 17.0
        );
    }
    for (n, run) in runs.iter().enumerate() {
        row(&mut svg, TOP + ROW * n as f64, run);
    }
    svg.push_str("</svg>\n");
    svg
}

fn row(svg: &mut String, top: f64, run: &Run) {
    let bars = usize::try_from((TO - FROM) / BAR).unwrap();
    let mut counts = vec![[0_usize; 3]; bars];
    for arrival in &run.arrivals {
        let at = (arrival.at as i64 - run.due).clamp(FROM, TO - 1);
        let bar = usize::try_from((at - FROM) / BAR).unwrap();
        let priority = PRIORITIES.iter().position(|p| *p == arrival.priority).unwrap();
        counts[bar][priority] += 1;
    }
    let highest = counts.iter().map(|bar| bar.iter().sum::<usize>()).max().unwrap_or(1).max(1);
    let worst = run.arrivals.iter().map(Arrival::lateness).fold(0.0, f64::max);
    let high = run.lateness("HIGH").last().copied().unwrap_or(0.0);
    let base = top + 35.0 + PLOT;
    let per_second = highest * usize::try_from(1000 / BAR).unwrap();
    let _ = write!(
        svg,
        r##"<text x="{LEFT}" y="{}" font-weight="bold">{}</text><text x="{}" y="{}" text-anchor="end" fill="#555">worst lateness {:.1} s, of HIGH {:.1} s</text>"##,
        top + 20.0,
        run.name.replace('"', "&quot;"),
        WIDTH - 20.0,
        top + 20.0,
        worst / 1e3,
        high / 1e3,
    );
    let scale = (WIDTH - LEFT - 20.0) / bars as f64;
    for (bar, parts) in counts.iter().enumerate() {
        let mut y = base;
        for (count, colour) in parts.iter().zip(COLOURS).filter(|(count, _)| **count > 0) {
            let length = *count as f64 / highest as f64 * PLOT;
            y -= length;
            let x = LEFT + bar as f64 * scale;
            let _ = write!(
                svg,
                r##"<rect x="{x:.1}" y="{y:.1}" width="{:.1}" height="{length:.1}" fill="{colour}"/>"##,
                scale - 0.5
            );
        }
    }
    axis(svg, base, per_second);
}

fn axis(svg: &mut String, base: f64, per_second: usize) {
    let x = |ms: i64| LEFT + (ms - FROM) as f64 / (TO - FROM) as f64 * (WIDTH - LEFT - 20.0);
    let _ = write!(
        svg,
        r##"<line x1="{LEFT}" y1="{base}" x2="{}" y2="{base}" stroke="#999"/><line x1="{0:.1}" y1="{1}" x2="{0:.1}" y2="{base}" stroke="#000" stroke-dasharray="3 3"/><text x="{2}" y="{3}" text-anchor="end" fill="#555">{per_second}/s</text>"##,
        x(0),
        base - PLOT,
        LEFT - 6.0,
        base - PLOT + 5.0,
    )
    .and_then(|()| {
        (-30..=90).step_by(10).try_for_each(|second: i64| {
            let label = if second == 0 { "due".to_owned() } else { format!("{second:+} s") };
            write!(
                svg,
                r##"<text x="{:.1}" y="{}" text-anchor="middle" fill="#555">{label}</text>"##,
                x(second * 1000),
                base + 17.0
            )
        })
    });
}
