//! Which roles a login may be made a member of: none that reaches further than a deployment does.

use super::Master;
use crate::context::Context;
use crate::database::{Database, Session, column};
use crate::error::FunctionError;
use crate::ownership;
use crate::store::SecretStore;
use function_contract::RoleAttributes;
use tokio_postgres::types::Type;

impl<S: SecretStore, D: Database<Session: Session>> Context<'_, S, D> {
    /// Refuses memberships by which whoever writes a deployment's file, or may invoke this function, would gain the server:
    /// in a superuser, in `rds_superuser`, in the master user, in an admin login of this or another deployment. And in
    /// `rds_iam`, whose members RDS refuses every password. What a group is, its name does not tell.
    ///
    /// To be asked before anything is written, with the master's session.
    pub(super) async fn refuse_groups(
        &self,
        attributes: &RoleAttributes,
        admin: Option<&str>,
        master: &Master<D::Session>,
    ) -> Result<(), FunctionError> {
        // First that it is a superuser, who counts as a member of everything; then what it is itself. An admin login's mark is its deployment's.
        const SQL: &str = "SELECT g.rolname::text, r.rolname::text, r.rolsuper \
             FROM pg_roles g JOIN pg_roles r ON pg_has_role(g.oid, r.oid, 'MEMBER') \
             WHERE g.rolname::text = ANY($1) AND (r.rolsuper OR r.rolname::text = ANY($2) OR (r.rolcreaterole \
               AND starts_with(COALESCE(shobj_description(r.oid, 'pg_authid'), ''), 'pgrotate:deployment='))) \
             ORDER BY r.rolsuper DESC, g.oid <> r.oid, 1, 2";
        let groups: Vec<&str> = attributes.member_of.iter().map(String::as_str).collect();
        for group in &groups {
            ownership::refuse_reserved(group)?;
        }
        if groups.is_empty() {
            return Ok(());
        }
        let mut reaching = vec!["rds_superuser", "rds_iam", master.username.as_str()];
        reaching.extend(admin);
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&groups, Type::TEXT_ARRAY), (&reaching, Type::TEXT_ARRAY)];
        let rows = master.session.query("a look at the groups", SQL, &parameters).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let (group, reached, superuser): (String, String, bool) = (column(row, 0)?, column(row, 1)?, column(row, 2)?);
        let because = match reached.as_str() {
            _ if superuser => "a superuser".to_owned(),
            "rds_superuser" => "rds_superuser".to_owned(),
            "rds_iam" => "rds_iam, whose members RDS refuses every password".to_owned(),
            name if name == master.username => "the master user".to_owned(),
            name if Some(name) == admin => "the admin login".to_owned(),
            name => format!("the admin login {name:?} of another deployment"),
        };
        let how = if group == reached { "it is" } else { "it is a member of" };
        Err(FunctionError::BadEvent(format!("membership in {group:?} is refused: {how} {because}")))
    }
}
