//! `[limits]`: what one plan may take away without being told so.

use super::read::Table;

/// More than anybody removes in one plan.
const MOST: u32 = 100_000;

/// What one plan may take away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Things that may be removed or made anew without `--allow-deletes`; None: [`crate::plan::limits`] says.
    pub deletes: Option<usize>,
    /// `destroy` is refused, and whatever else would take away what does not come back.
    pub prevent_destroy: bool,
}

/// Reads the table; None: something in it is wrong, which was told.
pub(super) fn read(mut table: Table<'_, '_>) -> Option<Limits> {
    let has_deletes = table.has("deletes");
    let deletes = table.integer("deletes", 0..=MOST, "", Some(0));
    let prevent_destroy = table.optional_bool("prevent_destroy", false);
    table.finish();
    let deletes = usize::try_from(deletes?).ok()?;
    Some(Limits { deletes: has_deletes.then_some(deletes), prevent_destroy })
}
