//! Directories, held to the suite.

use crate::suite::{Ground, Thing, holds};
use blackstart::adapters::data::{Counts, Directory, Store, Taken};
use blackstart::adapters::{AdapterError, World};
use std::time::Duration;

/// A folder that is made anew for each state.
struct Folder(tempfile::TempDir);

impl Folder {
    async fn take(&self) -> Result<Taken, AdapterError> {
        let (name, exclude) = ("data".to_owned(), vec!["9?".to_owned()]);
        let (times, owners) = (Counts::No, Counts::No);
        let asked = Store::Directory(Directory { name, path: self.0.path().join("data"), exclude, times, owners });
        World::system_with(Some(env!("CARGO_BIN_EXE_blackstart").into()))
            .data
            .fingerprint(&asked, Duration::from_secs(60))
            .await
    }
}

impl Ground for Folder {
    async fn of(&mut self, things: &[Thing]) -> Taken {
        let folder = self.0.path().join("data");
        let _none_yet = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        for (number, content) in things {
            let taken = folder.join(number.to_string()).exists();
            let name = if taken { format!("{number}-again") } else { number.to_string() };
            std::fs::write(folder.join(name), content).unwrap();
        }
        self.take().await.unwrap()
    }

    async fn unreadable(&mut self) -> Result<Taken, AdapterError> {
        std::fs::remove_dir_all(self.0.path().join("data")).unwrap();
        std::fs::write(self.0.path().join("data"), "no folder any more").unwrap();
        self.take().await
    }
}

#[tokio::test]
async fn a_directory() {
    holds(&mut Folder(tempfile::tempdir().unwrap())).await;
}
