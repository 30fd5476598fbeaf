//! The control socket of a helper: one JSON object a line, one answer a line. What is asked and answered is the helper's.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// The longest question.
const LINE: u64 = 64 * 1024;
/// Askers at the same time.
const ASKERS: usize = 64;
/// An asker that is silent for so long has gone.
const SILENT: Duration = Duration::from_secs(60);

/// A control socket that is bound, for our own user only; its file is gone when this is dropped.
pub(super) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Binds it; a file that an ended helper left is replaced, one that somebody answers on is not.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let listener = match UnixListener::bind(path) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && !crate::adapters::host::answers(path) => {
                std::fs::remove_file(path)?;
                UnixListener::bind(path)?
            }
            bound => bound?,
        };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_path_buf() })
    }

    /// Answers until it is dropped.
    pub async fn serve<A, S, F>(&self, answer: impl Fn(Result<A, String>) -> F + Clone + Send + 'static) -> io::Error
    where
        A: DeserializeOwned + Send,
        S: Serialize + Send,
        F: Future<Output = S> + Send,
    {
        let askers = Arc::new(Semaphore::new(ASKERS));
        loop {
            let Ok(permit) = Arc::clone(&askers).acquire_owned().await else { continue };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let answer = answer.clone();
                    tokio::spawn(async move {
                        let _gone = converse(stream, answer).await;
                        drop(permit);
                    });
                }
                Err(e) => return e,
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_file(&self.path);
    }
}

async fn converse<A, S, F>(stream: UnixStream, answer: impl Fn(Result<A, String>) -> F) -> io::Result<()>
where
    A: DeserializeOwned,
    S: Serialize,
    F: Future<Output = S>,
{
    // Besides us only root may ask, whatever became of the file's mode.
    let (own, asker) = (nix::unistd::geteuid().as_raw(), stream.peer_cred()?.uid());
    if asker != own && asker != 0 {
        return Ok(());
    }
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read.take(LINE));
    let mut line = String::new();
    loop {
        line.clear();
        lines.get_mut().set_limit(LINE);
        let got = tokio::time::timeout(SILENT, lines.read_line(&mut line)).await.map_err(io::Error::other)??;
        if got == 0 {
            return Ok(());
        }
        let asked = serde_json::from_str::<A>(&line).map_err(|e| format!("not understood: {e}"));
        let mut said = serde_json::to_vec(&answer(asked).await)?;
        said.push(b'\n');
        write.write_all(&said).await?;
    }
}
