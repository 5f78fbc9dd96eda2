//! What in all databases of a server depends on a role.

use crate::database::{DatabaseError, Session, column, identifier};
use tokio_postgres::types::Type;

/// What depends on roles, by database: of all databases of the server, which `pg_shdepend` knows without a login to
/// each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dependents(pub Vec<Dependent>);

/// What depends on one role in one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependent {
    /// None: a database or tablespace itself, or another thing that all databases share.
    pub database: Option<String>,
    pub role: String,
    pub owned: i64,
    /// Grants, policies and default privileges.
    pub granted: i64,
}

impl Dependents {
    /// Looks at all databases.
    pub async fn of(session: &impl Session, names: &[&str]) -> Result<Self, DatabaseError> {
        const SQL: &str = "SELECT d.datname::text, r.rolname::text, \
               count(*) FILTER (WHERE s.deptype = 'o')::int8, count(*) FILTER (WHERE s.deptype <> 'o')::int8 \
             FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid LEFT JOIN pg_database d ON d.oid = s.dbid \
             WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND r.rolname::text = ANY($1) \
             GROUP BY 1, 2 ORDER BY 1 NULLS FIRST, 2";
        let rows = session.query("a look at what roles own", SQL, &[(&names, Type::TEXT_ARRAY)]).await?;
        let mut found = Vec::new();
        for row in &rows {
            found.push(Dependent {
                database: column(row, 0)?,
                role: column(row, 1)?,
                owned: column(row, 2)?,
                granted: column(row, 3)?,
            });
        }
        Ok(Self(found))
    }

    /// Only what is owned.
    pub fn owned(self) -> Self {
        Self(self.0.into_iter().filter(|each| each.owned > 0).collect())
    }

    /// One line a database and role: how much there is.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|each| {
            let place = each.database.as_deref().map_or_else(
                || "shared by all databases".to_owned(),
                |name| format!("in database {}", identifier(name)),
            );
            let mut what = Vec::new();
            if each.owned > 0 {
                what.push(format!("owns {} object{}", each.owned, if each.owned == 1 { "" } else { "s" }));
            }
            if each.granted > 0 {
                what.push(format!("has {} grant{}", each.granted, if each.granted == 1 { "" } else { "s" }));
            }
            format!("{place}, {} {}", identifier(&each.role), what.join(" and "))
        })
    }
}
