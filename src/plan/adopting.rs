//! A plan to take over some of a deployment, once, and to do nothing else. What of it then is not as declared, the next
//! plan shows.

use super::{Goal, Plan, PlanError, Planned, outputs, seen};
use crate::model::{Address, Seen};
use crate::resource::{ADOPT, Diff, Family, Standing, nothing_to_adopt, sight};
use std::collections::BTreeMap;

/// Plans to make ours what others have made under the names of `wants`, each of which is declared to be taken over.
/// Tags are all that changes, and what must be undone first to put them on: a secret that waits for its deletion.
/// Refused is what is not there, and what apply could not keep as declared.
pub fn adopt<F: Family>(wants: &[F::Want], live: &BTreeMap<Address, Seen<F::Live>>) -> Result<Plan<F>, PlanError> {
    let mut planned = Planned::<F>::default();
    for want in wants {
        let address = F::address(want);
        let seen = seen::<F>(live, &address);
        planned.sights.insert(address.clone(), sight::<F>(&seen));
        if matches!(seen, Seen::Absent) {
            planned.refusals.push((address, nothing_to_adopt()));
            continue;
        }
        // Nothing else is planned that could give it anything; the tags need nothing.
        let nothing = BTreeMap::new();
        let mut cx = Diff::new(address.clone(), &nothing);
        match F::diff(&mut cx, want, seen.as_ref()) {
            Err(refusal) => planned.refusals.push((address, refusal)),
            Ok(mut steps) => match steps.iter().position(|step| step.key == ADOPT) {
                Some(place) => {
                    steps.truncate(place + 1);
                    planned.add((&address, want), &seen, steps, false);
                    planned.standings.insert(address, Standing::Changing(outputs::<F>(want, &seen)));
                }
                None => planned.unchanged.push(address),
            },
        }
    }
    planned.finish(Goal::Converge)
}
