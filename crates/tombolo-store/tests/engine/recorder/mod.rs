//! The recorder: what the real engine leaves on the disk at every moment of its life.
//!
//! The story that it keeps from happening: an engine acknowledges a commit, the power goes, and
//! the bytes were in a page, a file name or a rename that no sync had covered. A child process
//! runs the real engine under load while strace logs each write, sync, create, rename and unlink
//! of its directory. At every sync, rename and unlink the disk is rebuilt as a power cut would
//! leave it, opened with the real engine and compared with the model.

mod call;
mod disk;
mod workload;

use std::{env, ffi::OsStr, fs, path::Path, process::Command};

use call::Call;
use disk::{Disk, Survival};
use tempfile::TempDir;
use tombolo_store::engine::{Engine, FjallEngine};

use crate::door::Model;

const RECORDED_DIRECTORY: &str = "TOMBOLO_TEST_RECORDED_DIRECTORY";

/// Every call that can change a directory. A call that the recorder cannot replay fails the test.
const TRACED_CALLS: &str = "trace=open,openat,creat,close,dup,dup2,dup3,lseek,write,pwrite64,\
    writev,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile,fsync,fdatasync,\
    sync_file_range,msync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat";

/// Not a rule: the body of the recorded child process, empty without its variable.
#[test]
fn child_that_loads_the_engine() {
    let Some(directory) = env::var_os(RECORDED_DIRECTORY) else {
        return;
    };
    workload::run(Path::new(&directory));
}

#[test]
fn every_acknowledged_batch_survives_a_power_cut_at_any_sync_rename_or_unlink() {
    let scratch = scratch();
    let recorded = scratch.path().join("recorded");
    fs::create_dir(&recorded).unwrap();
    let calls = record(&recorded, &scratch.path().join("log"));
    let models = workload::models();
    let (mut disk, mut acknowledged, mut opened) = (Disk::new(&recorded), 0, 0u64);
    for (index, call) in calls.iter().enumerate() {
        if call.is_crash_point(&recorded) {
            for survival in Survival::ALL {
                opened += 1;
                let rebuilt = scratch.path().join("rebuilt");
                disk.rebuild(&rebuilt, survival, opened);
                let what = format!("{survival:?} before call {index}, {call}");
                check(&rebuilt, &models, acknowledged, &what);
                fs::remove_dir_all(&rebuilt).unwrap();
            }
        }
        if let Call::Acknowledged(number) = call {
            acknowledged = *number;
        }
        disk.apply(index, call);
    }
    assert_eq!(
        acknowledged,
        workload::BATCHES,
        "the child did not finish its load"
    );
    assert!(
        disk.seen_whole_life(),
        "the load was too small to write out, compact and unlink"
    );
}

/// A place in memory where there is one: the rebuilt disks need no durability of their own, and
/// hundreds of them are synced by the engine that opens them.
fn scratch() -> TempDir {
    TempDir::new_in("/dev/shm")
        .or_else(|_| TempDir::new())
        .unwrap()
}

fn record(directory: &Path, log: &Path) -> Vec<Call> {
    let output = Command::new("strace")
        .args([
            "-f",
            "-y",
            "-xx",
            "-s",
            "100000000",
            "--seccomp-bpf",
            "-e",
            TRACED_CALLS,
            "-o",
        ])
        .args([log.as_os_str(), env::current_exe().unwrap().as_os_str()])
        .args(
            [
                "--exact",
                "recorder::child_that_loads_the_engine",
                "--nocapture",
            ]
            .map(OsStr::new),
        )
        .env(RECORDED_DIRECTORY, directory)
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => panic!("cannot run strace ({error}): install the Debian package strace"),
    };
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the recorded child failed: {complaint}"
    );
    call::parse(&fs::read_to_string(log).unwrap())
}

fn check(directory: &Path, models: &[Model], acknowledged: usize, what: &str) {
    let engine = match FjallEngine::open(directory, &workload::SETTINGS) {
        Ok(engine) => engine,
        Err(error) => panic!("{what}: the engine does not open: {error:?}"),
    };
    let snapshot = engine.snapshot().unwrap();
    let last = workload::last(&*snapshot);
    assert!(
        last >= acknowledged,
        "{what}: batch {acknowledged} was acknowledged, {last} is last"
    );
    assert!(
        models[last] == Model::of(&*snapshot),
        "{what}: batch {last} is torn"
    );
}
