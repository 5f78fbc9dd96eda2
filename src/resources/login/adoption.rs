//! Whose a role is that exists under a login's name.

use super::{Desired, Observed};
use crate::code::Code;
use crate::resource::Refusal;
use function_contract::{Duty, RoleFacts};

/// Whether it is a role that nobody has marked, and that is taken over.
pub(super) fn adopts(want: &Desired, live: &Observed) -> bool {
    want.adopt && !is_marked(&live.role)
}

/// Why a role without our comment is not touched, and how it can be handed over.
pub(super) fn not_ours(want: &Desired, role: &RoleFacts) -> Refusal {
    let login = &want.login;
    Refusal::new(
        Code::NotOurs,
        format!("the role `{login}` exists and was not made by this deployment"),
        format!(
            "to hand it over: {}COMMENT ON ROLE \"{}\" IS '{}'; or declare another login",
            // Neither the admin login nor another deployment's is ever taken over.
            if is_marked(role) || want.duty == Duty::Admin { "" } else { "adopt = true in its [[user]]; or " },
            login.replace('"', "\"\""),
            want.comment().text().replace('\'', "''"),
        ),
    )
}

/// By this deployment or another one.
fn is_marked(role: &RoleFacts) -> bool {
    role.comment.as_deref().is_some_and(|comment| comment.starts_with("pgrotate:"))
}
