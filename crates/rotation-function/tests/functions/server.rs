//! A real PostgreSQL for the tests: one server per test process, TLS by a CA of its own, an RDS-like master.
//!
//! Which server: the `bin` folder in `PGROTATE_TEST_POSTGRES`, else the sandbox's, else Debian's.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

pub const MASTER: &str = "dbmaster";
pub const MASTER_PASSWORD: &str = "master password of the tests";

pub struct Server {
    pub port: u16,
    /// PEM of the CA that signed the server's certificate.
    pub ca: String,
    socket: PathBuf,
    bin: PathBuf,
    /// While this process lives it holds the pipe open that keeps the server up.
    _keeper: Child,
}

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

pub fn server() -> &'static Server {
    &SERVER
}

fn bin() -> PathBuf {
    if let Some(folder) = std::env::var_os("PGROTATE_TEST_POSTGRES") {
        return folder.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let sandbox = fs::read_dir(target.join("sandbox-tools")).into_iter().flatten().flatten();
    let sandbox = sandbox.filter(|entry| entry.file_name().to_string_lossy().starts_with("postgres-"));
    let mut places: Vec<PathBuf> = sandbox.map(|entry| entry.path().join("bin")).collect();
    // The newest first; Debian's after them.
    places.sort_by(|one, other| other.cmp(one));
    places.extend(["18", "17", "16", "15"].map(|major| PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"))));
    let found = places.into_iter().find(|folder| folder.join("initdb").exists());
    found.expect("no PostgreSQL: run `sandbox/ctl install`, or set PGROTATE_TEST_POSTGRES to its bin folder")
}

/// PostgreSQL refuses to run as root: then it is `postgres`, or `nobody` where there is none.
fn other_user() -> Option<(u32, u32)> {
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout != b"0\n" {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = |name: &str| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(entry("postgres").or_else(|| entry("nobody")).unwrap_or((65534, 65534)))
}

/// A CA, a server's certificate that it signed for `names` until `end` (a year), and that server's key; all PEM.
pub fn certificates(names: &[&str], end: i32) -> (String, String, String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    leaf.not_after = rcgen::date_time_ymd(end, 1, 1);
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    (ca_pem, leaf.pem(), key.serialize_pem())
}

/// Whether this machine can listen on `::1`: a container may be without IPv6.
pub fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

/// A port that nothing listens on now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A command as the user that PostgreSQL runs as, in a clean environment.
fn command(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// The module that keeps statements, where the build has it: the server refuses to start without.
fn statements(bin: &Path) -> &'static str {
    let places = ["../lib/postgresql", "../lib"].map(|place| bin.join(place).join("pg_stat_statements.so"));
    if places.iter().any(|place| place.exists()) { "pg_stat_statements" } else { "" }
}

/// Starts a server on `FOLDER/data`, which ends when this process does, however it ends, and takes `folder` along.
fn launch(bin: &Path, folder: &Path, port: u16, addresses: &str, user: Option<(u32, u32)>) -> Child {
    // The shell ends the server when its standard input closes.
    let script = r#"exec 3<&0
        "$1/postgres" -D "$2/data" -k "$2" -p "$3" -h "$4" -c ssl=on -c fsync=off -c wal_keep_size=1GB \
            -c log_statement=all -c log_connections=on -c max_connections=300 -c shared_buffers=16MB \
            -c log_min_error_statement=debug5 -c log_error_verbosity=verbose \
            -c shared_preload_libraries="$5" -c pg_stat_statements.max=20000 -c track_activity_query_size=8192 \
            </dev/null >"$2/log" 2>&1 3<&- &
        cat <&3 >/dev/null
        kill -INT $!; wait $!; rm -rf "$2""#;
    let mut keeper = command(Path::new("/bin/sh"), user);
    keeper.arg("-c").arg(script).arg("sh").args([bin, folder]).args([&port.to_string(), addresses, statements(bin)]);
    keeper.stdin(Stdio::piped()).spawn().unwrap()
}

impl Server {
    fn start() -> Self {
        let (mut bin, user) = (bin(), other_user());
        let folder = tempfile::Builder::new().prefix("pgrotate-test-").tempdir().unwrap().keep();
        let data = folder.join("data");
        let owned = |path: &Path| {
            if let Some((uid, gid)) = user {
                chown(path, Some(uid), Some(gid)).unwrap();
            }
        };
        owned(&folder);
        if !command(&bin.join("postgres"), user).arg("--version").output().is_ok_and(|done| done.status.success()) {
            // That user may not come in there, in a checkout below /root for one: it gets a copy.
            let home = folder.join("postgresql");
            let copied = Command::new("cp").arg("-R").arg(bin.parent().unwrap()).arg(&home).status().unwrap();
            assert!(copied.success(), "{} could not be copied", bin.display());
            bin = home.join("bin");
        }
        let mut initdb = command(&bin.join("initdb"), user);
        initdb.args(["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "-D"]).arg(&data);
        let made = initdb.output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));

        let names = ["127.0.0.1", "127.0.0.3", "::1", "localhost"];
        let (ca, certificate, key) = certificates(&names, 4096);
        for (name, text) in [("server.crt", &certificate), ("server.key", &key)] {
            let path = data.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            owned(&path);
        }
        let hba = "local all all trust\nlocal replication all trust\nhostssl all all 127.0.0.0/8 scram-sha-256\n\
                   hostssl all all ::1/128 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), hba).unwrap();
        // As it is before its first start, the cluster is also what a replica begins with.
        let seed = folder.join("seed");
        let copied = command(Path::new("/bin/cp"), user).arg("-R").args([&data, &seed]).status().unwrap();
        assert!(copied.success(), "no copy for a replica");
        let port = free_port();
        let addresses = if has_ipv6() { "127.0.0.1,127.0.0.2,::1" } else { "127.0.0.1,127.0.0.2" };
        let keeper = launch(&bin, &folder, port, addresses, user);
        let server = Self { port, ca, socket: folder, bin, _keeper: keeper };
        server.set_up();
        server
    }

    /// A streaming replica of this server, on 127.0.0.3 and the port that is answered.
    pub fn start_replica(&self) -> Self {
        let user = other_user();
        let folder = tempfile::Builder::new().prefix("pgrotate-replica-").tempdir().unwrap().keep();
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let data = folder.join("data");
        let script = r#"cp -R "$1/seed" "$2" && : >"$2/standby.signal" && printf "%s\n" "$3" >>"$2/postgresql.conf""#;
        let source = format!("primary_conninfo = 'host={} port={} user=postgres'", self.socket.display(), self.port);
        let mut copy = command(Path::new("/bin/sh"), user);
        copy.args(["-c", script, "sh"]).args([&self.socket, &data]).arg(source);
        assert!(copy.status().unwrap().success());
        let port = free_port();
        let keeper = launch(&self.bin, &folder, port, "127.0.0.3", user);
        Self { port, ca: self.ca.clone(), socket: folder, bin: self.bin.clone(), _keeper: keeper }
    }

    /// Waits until `sql` answers "true" here, as the superuser sees it.
    pub async fn until(&self, sql: &str) {
        let began = Instant::now();
        loop {
            if let Ok(client) = self.try_superuser().await
                && let Ok(row) = client.query_one(sql, &[]).await
                && row.get::<_, bool>(0)
            {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{sql}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn set_up(&self) {
        // On a thread of its own: the caller may be inside a runtime already.
        std::thread::scope(|scope| {
            scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let began = Instant::now();
                    while self.try_superuser().await.is_err() {
                        assert!(began.elapsed() < Duration::from_secs(60), "no server: {}", self.log());
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    // As on RDS: the master is no superuser.
                    self.sql(&format!(
                        "CREATE ROLE rds_superuser NOLOGIN; CREATE ROLE rds_password NOLOGIN; CREATE ROLE rds_iam NOLOGIN; \
                         CREATE ROLE {MASTER} LOGIN CREATEROLE CREATEDB PASSWORD '{MASTER_PASSWORD}'; \
                         GRANT rds_superuser, rds_password TO {MASTER} WITH ADMIN OPTION"
                    ))
                    .await;
                });
            });
        });
    }

    /// A session of the superuser's.
    pub async fn superuser(&self) -> tokio_postgres::Client {
        self.try_superuser().await.unwrap()
    }

    async fn try_superuser(&self) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.socket).port(self.port).user("postgres").dbname("postgres");
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Logs in as an application does.
    pub async fn application(
        &self,
        user: &str,
        password: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        self.application_at("127.0.0.1", self.port, user, password).await
    }

    async fn application_at(
        &self,
        host: &str,
        port: u16,
        user: &str,
        password: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host(host).port(port).dbname("postgres").user(user).password(password);
        config.ssl_mode(tokio_postgres::config::SslMode::Require);
        let tls = tokio_postgres_rustls::MakeRustlsConnect::new(crate::world::client(&self.ca));
        let (client, connection) = config.connect(tls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Whether a secret's value logs in where it says. One that holds no user name and password does not; of this
    /// server no answer at all is no answer.
    pub async fn admits(&self, value: Option<&str>) -> bool {
        let value: Option<serde_json::Value> = value.and_then(|text| serde_json::from_str(text).ok());
        let text = |key: &str| Some(value.as_ref()?.get(key)?.as_str()?.to_owned());
        let (Some(user), Some(password)) = (text("username"), text("password")) else { return false };
        let host = text("host").unwrap_or_else(|| "127.0.0.1".to_owned());
        let port = value.as_ref().and_then(|value| value["port"].as_u64()).and_then(|port| u16::try_from(port).ok());
        let port = port.unwrap_or(self.port);
        match self.application_at(host.trim_matches(['[', ']']), port, &user, &password).await {
            Ok(_) => true,
            Err(error) if error.code().is_some() || port != self.port || host.contains("example") => false,
            Err(error) => panic!("{user} at {host}:{port}: {error:?}"),
        }
    }

    /// Runs statements as the superuser.
    pub async fn sql(&self, sql: &str) {
        self.try_superuser().await.unwrap().batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The first column of a query's rows, as the superuser sees it.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let client = self.try_superuser().await.unwrap();
        let rows = client.query(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// The server's log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.socket.join("log")).unwrap_or_default()
    }

    pub async fn version(&self) -> i32 {
        self.texts("SELECT current_setting('server_version_num')").await[0].parse().unwrap()
    }
}
