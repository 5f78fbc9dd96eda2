//! Being asked to stop: Ctrl-C, or SIGTERM, with which CI cancels its jobs.

use super::CliError;

/// Hears of every time that somebody asks.
pub(super) struct Stops {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Stops {
    /// From now on neither signal ends the process.
    pub fn listen() -> Result<Self, CliError> {
        use tokio::signal::unix::{SignalKind, signal};
        let io = |source| CliError::Io { doing: "listen for signals", source };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(io)?,
            terminate: signal(SignalKind::terminate()).map_err(io)?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Stops {
    pub fn listen() -> Result<Self, CliError> {
        Ok(Self {})
    }

    pub async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
