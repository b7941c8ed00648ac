//! Stands in the place of RocksDB, which here nobody opens.
//!
//! limitador 0.14 writes its keys in Redis by a module that is only there with the feature
//! `disk_storage`, and that wants RocksDB: a C++ library that takes a quarter of an hour to compile, and
//! libclang. This has what limitador names of its API, and no database: [`DB::open`] fails, and
//! what could only be called on an open one cannot be called, by its type.

#![allow(missing_docs)]

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;
use std::slice::Iter;
use std::vec::IntoIter;

pub type DB = DBWithThreadMode<MultiThreaded>;

/// A database, of which there is none.
pub struct DBWithThreadMode<T>(Infallible, PhantomData<T>);

pub struct MultiThreaded;

type Entries = IntoIter<Result<(Box<[u8]>, Box<[u8]>), Error>>;

impl<T> DBWithThreadMode<T> {
    pub fn open(_: &Options, _: impl AsRef<Path>) -> Result<Self, Error> {
        Err(Error)
    }

    pub fn get(&self, _: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, Error> {
        match self.0 {}
    }

    pub fn delete(&self, _: impl AsRef<[u8]>) -> Result<(), Error> {
        match self.0 {}
    }

    pub fn merge(&self, _: impl AsRef<[u8]>, _: impl AsRef<[u8]>) -> Result<(), Error> {
        match self.0 {}
    }

    pub fn iterator(&self, _: IteratorMode) -> Entries {
        match self.0 {}
    }

    pub fn prefix_iterator(&self, _: impl AsRef<[u8]>) -> Entries {
        match self.0 {}
    }
}

pub enum IteratorMode {
    Start,
}

#[derive(Debug)]
pub struct Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    NotSupported,
    TimedOut,
    TryAgain,
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::NotSupported
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("there is no RocksDB in this build")
    }
}

impl std::error::Error for Error {}

#[derive(Default)]
pub struct Options(());

pub enum CompactionDecision {
    Keep,
    Remove,
}

pub enum DBCompressionType {
    Bz2,
    None,
}

/// What a merge operator is given.
pub struct MergeOperands<'a>(Iter<'a, &'a [u8]>);

impl<'a> IntoIterator for &MergeOperands<'a> {
    type Item = &'a [u8];
    type IntoIter = std::iter::Copied<Iter<'a, &'a [u8]>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.clone().copied()
    }
}

impl Options {
    pub fn set_compaction_filter(
        &mut self,
        _: &str,
        _: impl FnMut(u32, &[u8], &[u8]) -> CompactionDecision + Send + 'static,
    ) {
    }

    pub fn set_compression_type(&mut self, _: DBCompressionType) {}

    pub fn set_merge_operator_associative(
        &mut self,
        _: &str,
        _: impl Fn(&[u8], Option<&[u8]>, &MergeOperands<'_>) -> Option<Vec<u8>>
        + Clone
        + Send
        + Sync
        + 'static,
    ) {
    }

    pub fn create_if_missing(&mut self, _: bool) {}
}
