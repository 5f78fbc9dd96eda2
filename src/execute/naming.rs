//! The config file's name, put into what became of an action.

use super::{ActionError, Outcome};
use crate::command::File;

impl Outcome {
    /// With the file's name in all its commands.
    pub(super) fn naming(mut self, file: &File) -> Self {
        match &mut self {
            Self::Failed(error) => match error {
                ActionError::World { code: _, hint, source: _ } => file.fill_in(hint),
                ActionError::Never(text) | ActionError::TimedOut { after: _, saying: text } => file.fill_in(text),
                ActionError::Refused(refusal) => refusal.name(file),
                ActionError::NotProduced(_) => {}
            },
            Self::Stale(text) => file.fill_in(text),
            Self::Done(_) | Self::AlreadyDone | Self::Skipped { .. } | Self::Cancelled => {}
        }
        self
    }
}
