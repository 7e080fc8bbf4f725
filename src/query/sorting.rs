//! Sorting the records of a table by some of their fields.

use crate::error::Result;
use crate::query::order::Order;
use crate::schema::{FieldSchema, Schema};
use crate::value::untyped::Value;
use std::cmp::Ordering;

/// How the records of a table are sorted.
pub struct Sorter {
    by: Vec<(FieldSchema, Order)>,
}

impl Sorter {
    pub fn new(orders: &[Order], schema: &Schema) -> Result<Self> {
        let by = |order: &Order| Ok((schema.expect_field(order.field())?.1.clone(), order.clone()));
        Ok(Sorter { by: orders.iter().map(by).collect::<Result<_>>()? })
    }

    /// What a record is sorted by.
    pub fn key_of(&self, record: &[u64]) -> Result<Vec<Value>> {
        self.by.iter().map(|(field, _)| field.value_in(record)).collect()
    }

    pub fn compare(&self, left: &[Value], right: &[Value]) -> Ordering {
        let pairs = self.by.iter().zip(left.iter().zip(right));
        let mut orders = pairs.map(|((_, order), (left, right))| order.compare(left, right));
        orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}
