//! Apache Parquet: the same columns with their types, in groups of rows so that memory stays small. Numbers are stored
//! as differences, words in dictionaries; nothing is compressed besides.

use super::{Row, Table};
use ::parquet::basic::Encoding;
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use ::parquet::file::properties::{WriterProperties, WriterVersion};
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::{parser::parse_message_type, types::ColumnPath};
use std::io::Write;
use std::sync::Arc;

/// Why a Parquet file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the table: {0}")]
pub struct ParquetError(#[from] ::parquet::errors::ParquetError);

const SCHEMA: &str = "message operation {
    required binary workload (STRING);
    required binary action (STRING);
    required binary outcome (STRING);
    required int64 due_ns;
    optional int64 sent_ns;
    required int64 done_ns;
    required int64 latency_ns;
    required boolean served;
    required boolean late;
    optional int32 writer (INTEGER(16,false));
    optional int64 seq (INTEGER(64,false));
    optional binary found (STRING);
}";

/// Rows that are held at once.
const GROUP: usize = 1 << 16;

/// Writes the table.
///
/// # Errors
/// The writer's own.
pub fn parquet(table: Table, out: impl Write + Send) -> Result<(), ParquetError> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut file = SerializedFileWriter::new(out, schema, Arc::new(properties()))?;
    let mut rows = table.rows();
    loop {
        let group: Vec<Row> = rows.by_ref().take(GROUP).collect();
        if group.is_empty() {
            break;
        }
        let mut to = file.next_row_group()?;
        columns(&group, &mut to)?;
        to.close()?;
    }
    file.close()?;
    Ok(())
}

fn properties() -> WriterProperties {
    let numbers = ["due_ns", "sent_ns", "done_ns", "latency_ns", "writer", "seq"].map(ColumnPath::from);
    let properties = WriterProperties::builder().set_writer_version(WriterVersion::PARQUET_1_0);
    let differences = |properties: ::parquet::file::properties::WriterPropertiesBuilder, column: ColumnPath| {
        properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED)
    };
    numbers.into_iter().fold(properties, differences).build()
}

/// The columns of some rows, in the order of the schema.
fn columns<W: Write + Send>(rows: &[Row], to: &mut SerializedRowGroupWriter<W>) -> Result<(), ParquetError> {
    let text = |text: &str| ByteArray::from(text);
    put::<ByteArrayType, _>(to, rows.iter().map(|row| text(row.workload)))?;
    put::<ByteArrayType, _>(to, rows.iter().map(|row| text(row.action)))?;
    put::<ByteArrayType, _>(to, rows.iter().map(|row| text(row.outcome)))?;
    put::<Int64Type, _>(to, rows.iter().map(|row| row.due))?;
    put_some::<Int64Type, _>(to, rows.iter().map(|row| row.sent))?;
    put::<Int64Type, _>(to, rows.iter().map(|row| row.done))?;
    put::<Int64Type, _>(to, rows.iter().map(|row| row.latency))?;
    put::<BoolType, _>(to, rows.iter().map(|row| row.served))?;
    put::<BoolType, _>(to, rows.iter().map(|row| row.late))?;
    put_some::<Int32Type, _>(to, rows.iter().map(|row| row.key.map(|key| i32::from(key.writer))))?;
    put_some::<Int64Type, _>(to, rows.iter().map(|row| row.key.map(|key| key.seq.cast_signed())))?;
    put_some::<ByteArrayType, _>(to, rows.iter().map(|row| row.found.map(text)))
}

fn put<T: DataType, W: Write + Send>(
    to: &mut SerializedRowGroupWriter<W>,
    values: impl Iterator<Item = T::T>,
) -> Result<(), ParquetError> {
    let values: Vec<T::T> = values.collect();
    write::<T, W>(to, &values, None)
}

/// Values that may be missing: those that are there, and for each row whether it is.
fn put_some<T: DataType, W: Write + Send>(
    to: &mut SerializedRowGroupWriter<W>,
    values: impl Iterator<Item = Option<T::T>> + Clone,
) -> Result<(), ParquetError> {
    let there: Vec<i16> = values.clone().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<T::T> = values.flatten().collect();
    write::<T, W>(to, &values, Some(&there))
}

fn write<T: DataType, W: Write + Send>(
    to: &mut SerializedRowGroupWriter<W>,
    values: &[T::T],
    there: Option<&[i16]>,
) -> Result<(), ParquetError> {
    // There are as many columns as the schema has.
    if let Some(mut column) = to.next_column()? {
        column.typed::<T>().write_batch(values, there, None)?;
        column.close()?;
    }
    Ok(())
}
