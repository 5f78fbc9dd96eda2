//! The config file's name, put into every text of a plan, or of why there is none.

use super::{Action, Plan, PlanError};
use crate::command::File;
use crate::resource::{Deferral, Family, Note, Refusal, Remedy};

impl<F: Family> Plan<F> {
    /// With the file's name in all its commands, and in those of what comes of carrying it out.
    pub fn naming(mut self, file: &File) -> Self {
        for Note { address: _, text, remedy } in &mut self.notes {
            file.fill_in(text);
            if let Some(Remedy { code: _, fix, since: _ }) = remedy {
                file.fill_in(fix);
            }
        }
        for Deferral { address: _, what, why } in &mut self.deferred {
            file.fill_in(what);
            file.fill_in(why);
        }
        for Action { because, leaves, in_use, drift, .. } in &mut self.actions {
            let said = [because, leaves, in_use].into_iter().chain(drift.iter_mut().map(|drift| &mut drift.found));
            said.flatten().for_each(|text| file.fill_in(text));
        }
        self.file = Some(file.clone());
        self
    }
}

impl PlanError {
    /// With the file's name in all its commands.
    pub fn naming(mut self, file: &File) -> Self {
        match &mut self {
            Self::Refused(refusals) => {
                refusals.iter_mut().for_each(|(_, refusal)| refusal.name(file));
            }
            Self::Cycle(_) | Self::OutOfOrder { .. } | Self::Stranded(_) => {}
        }
        self
    }
}

impl Refusal {
    /// Puts the file's name into its commands.
    pub fn name(&mut self, file: &File) {
        let Self { code: _, cause, hint } = self;
        file.fill_in(cause);
        file.fill_in(hint);
    }
}
