//! `pgrotate schema`: the JSON Schema of the config, or of what pgrotate prints and writes.

use super::CliError;
use super::output::print_json;
use crate::code::exit;
use crate::schema::Subject;
use clap::Args;
use clap::builder::PossibleValue;

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Of what
    #[arg(value_enum)]
    of: Subject,
}

impl clap::ValueEnum for Subject {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let what = match self {
            Self::Config => "The config file",
            Self::Plan => "What `plan --format json` prints",
            Self::Drift => "What `drift --format json` prints",
            Self::Status => "What `status --format json` prints",
            Self::Report => "What `apply`, `adopt` and `destroy` print with `--format json`",
            Self::Explanation => "What `explain --format json` prints",
            Self::Validation => "What `validate --format json` prints",
            Self::Deployments => "What `plan`, `drift`, `status` and `validate` of several print with `--format json`",
            Self::Targets => "What `targets --format json` prints",
            Self::Journal => "A line of what `--journal` writes",
        };
        Some(PossibleValue::new(self.text()).help(what))
    }
}

pub(super) fn run(args: &SchemaArgs) -> Result<u8, CliError> {
    print_json(&args.of.schema())?;
    Ok(exit::CLEAN)
}
