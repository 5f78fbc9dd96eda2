//! RDS Proxies: none is ours, and what one lets in depends on the secrets that we rotate.

use super::{Aws, AwsError, call};

/// A proxy, and as whom it logs in to the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyLook {
    pub name: String,
    pub auth: Vec<ProxyAuth>,
}

/// One of the users that a proxy knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyAuth {
    /// ARN of the secret with its name and password.
    pub secret: Option<String>,
    /// Its name, where that is said beside the secret.
    pub user: Option<String>,
}

impl Aws {
    /// All proxies of the account and region that are not being deleted: one call for each hundred.
    pub async fn proxies(&self) -> Result<Vec<ProxyLook>, AwsError> {
        let describe = call("rds", "DescribeDBProxies");
        let request = self.rds.describe_db_proxies().into_paginator().items().send();
        let found = request.try_collect().await.map_err(|error| describe.failed(error))?;
        let stays = found.iter().filter(|proxy| proxy.status().is_none_or(|status| status.as_str() != "deleting"));
        Ok(stays
            .map(|proxy| ProxyLook {
                name: proxy.db_proxy_name().unwrap_or_default().to_owned(),
                auth: proxy
                    .auth()
                    .iter()
                    .map(|auth| ProxyAuth {
                        secret: auth.secret_arn().map(str::to_owned),
                        user: auth.user_name().filter(|name| !name.is_empty()).map(str::to_owned),
                    })
                    .collect(),
            })
            .collect())
    }
}
