//! `--verbose`: what is done and how long it takes, on standard error, a line each. Only what pgrotate itself has to say:
//! whatever else speaks in this process, the SDK first of all, which would tell whole requests, is never heard.

use super::progress;
use crate::code::LOG;
use clap::{ArgAction, Args, ValueEnum};
use serde_json::{Map, Value, json};
use std::fmt;
use std::io::Write;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

#[derive(Debug, Clone, Args)]
pub(super) struct LogArgs {
    /// Tell on standard error what is done, how long it takes, and of each call of AWS; twice: more
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,
    /// How to write what --verbose tells: human or json
    #[arg(
        long,
        value_enum,
        default_value = "human",
        global = true,
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    log_format: LogFormat,
}

/// `human` or `json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Human,
    Json,
}

impl LogArgs {
    /// From now on, what is asked for is told; without `--verbose` nothing is.
    pub fn start(&self) {
        let most = match self.verbose {
            0 => return,
            1 => Level::INFO,
            _ => Level::DEBUG,
        };
        let lines = Lines { most, format: self.log_format };
        // It fails where somebody else listens already, and in this process nobody does.
        let _ = tracing::subscriber::set_global_default(Registry::default().with(lines));
    }
}

struct Lines {
    most: Level,
    format: LogFormat,
}

/// What an event or a span says of itself, in its own order.
#[derive(Debug, Default, Clone)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    /// Each name once: what an event says of itself stands in the place of what its span does.
    fn distinct(self) -> Vec<(&'static str, Value)> {
        let Self(all) = self;
        let is_last = |number: usize, name: &str| !all[number + 1..].iter().any(|(later, _)| *later == name);
        all.iter()
            .enumerate()
            .filter(|(number, (name, _))| is_last(*number, name))
            .map(|(_, field)| field.clone())
            .collect()
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.push((field.name(), value.into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.push((field.name(), value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.push((field.name(), value.into()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), format!("{value:?}").into()));
    }
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == LOG && *metadata.level() <= self.most
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(self.most))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut all = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            all.0.extend(span.extensions().get::<Fields>().into_iter().flat_map(|fields| fields.0.clone()));
        }
        event.record(&mut all);
        let mut all = Fields(all.distinct());
        let message = |(name, _): &(&'static str, Value)| *name == "message";
        let said = all.0.iter().find(|field| message(field)).map(|(_, said)| said.clone()).unwrap_or_default();
        all.0.retain(|field| !message(field) && field.1 != "");
        let time = jiff::Timestamp::now();
        let line = match self.format {
            LogFormat::Human => human(time, *event.metadata().level(), &said, &all),
            LogFormat::Json => machine(time, *event.metadata().level(), &said, &all),
        };
        if !progress::above_the_board(&line) {
            // What nobody reads is no reason to stop.
            let _ = writeln!(std::io::stderr().lock(), "{line}");
        }
    }
}

fn human(time: jiff::Timestamp, level: Level, said: &Value, Fields(fields): &Fields) -> String {
    let said = said.as_str().unwrap_or_default();
    fields.iter().fold(format!("{time:.3} {level:<5} {said}"), |line, (name, value)| {
        let value = match value {
            Value::String(text) if is_plain(text) => text.clone(),
            // Quoted and escaped: what AWS or a path says may hold anything.
            value => value.to_string(),
        };
        format!("{line} {name}={value}")
    })
}

fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || "-_.:/@+,".contains(c))
}

fn machine(time: jiff::Timestamp, level: Level, said: &Value, Fields(fields): &Fields) -> String {
    let fields: Map<_, _> = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let level = level.as_str().to_ascii_lowercase();
    json!({ "time": format!("{time:.3}"), "level": level, "message": said, "fields": fields }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line() {
        let fields = Fields(vec![
            ("file", "a\nb\u{1b}[2J.toml".into()),
            ("elapsed_ms", 7.into()),
            ("service", "Secrets Manager".into()),
        ]);
        let time = jiff::Timestamp::from_millisecond(1_772_323_927_050).unwrap();
        expect_test::expect![[r#"
            2026-03-01T00:12:07.050Z INFO  config read file="a\nb\u001b[2J.toml" elapsed_ms=7 service="Secrets Manager"
            {"time":"2026-03-01T00:12:07.050Z","level":"info","message":"config read","fields":{"file":"a\nb\u001b[2J.toml","elapsed_ms":7,"service":"Secrets Manager"}}
        "#]]
        .assert_eq(&format!(
            "{}\n{}\n",
            human(time, Level::INFO, &"config read".into(), &fields),
            machine(time, Level::INFO, &"config read".into(), &fields)
        ));
    }
}
