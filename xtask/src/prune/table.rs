//! Empties function table slots that nothing in the module can call any more.
//!
//! Dead-code removal alone must keep every function in a table that is still used:
//! any indirect call could reach it. But an indirect call names the type of the
//! function that it expects, and traps on a slot of another type. So a slot whose
//! type no reachable indirect call names can only trap, and a stub that traps may
//! stand in its place. Slots keep their indices, so function pointers stay as they are.

use std::collections::{HashMap, HashSet};

use walrus::ir::{CallIndirect, Instr, InstrLocId, ReturnCallIndirect, Visitor, dfs_in_order};
use walrus::{
    ConstExpr, ElementItems, ElementKind, ExportItem, FunctionBuilder, FunctionId, FunctionKind,
    GlobalKind, Module, TableId, TypeId, ValType,
};

/// The type of a function, by its structure.
type Signature = (Vec<ValType>, Vec<ValType>);

/// Puts a trapping stub into every slot that cannot be called, and tells how many
/// there were. Does nothing where it could not be certain.
pub(super) fn drop_uncallable_slots(module: &mut Module) -> usize {
    // With subtypes a slot may be called through another type than its own.
    let plain = |ty: &walrus::Type| ty.is_function() && ty.is_final && ty.supertype.is_none();
    if !module.types.iter().all(plain) {
        return 0;
    }
    let closed = closed_tables(module);
    let slots = slots(module, &closed);
    let live = Reach::of(module, &closed, &slots);
    let dead: HashSet<_> = slots
        .values()
        .flatten()
        .copied()
        .filter(|function| !live.contains(function))
        .collect();
    if dead.is_empty() {
        return 0;
    }

    let mut stub = FunctionBuilder::new(&mut module.types, &[], &[]);
    stub.func_body().unreachable();
    let stub = stub.finish(vec![], &mut module.funcs);
    let mut dropped = 0;
    for element in module.elements.iter_mut() {
        if !is_slots_of(&element.kind, &closed) {
            continue;
        }
        if let ElementItems::Functions(functions) = &mut element.items {
            for function in functions.iter_mut().filter(|f| dead.contains(f)) {
                *function = stub;
                dropped += 1;
            }
        }
    }
    dropped
}

/// The tables that nothing but indirect calls in this module can look into.
fn closed_tables(module: &Module) -> HashSet<TableId> {
    let mut uses = Uses::default();
    for (_, function) in module.funcs.iter_local() {
        dfs_in_order(&mut uses, function, function.entry_block());
    }
    let exported: HashSet<_> = module
        .exports
        .iter()
        .filter_map(|export| match export.item {
            ExportItem::Table(table) => Some(table),
            _ => None,
        })
        .collect();
    module
        .tables
        .iter()
        .filter(|table| table.import.is_none() && table.init.is_none())
        .map(walrus::Table::id)
        .filter(|table| !exported.contains(table) && !uses.opened().contains(table))
        .collect()
}

fn is_slots_of(kind: &ElementKind, closed: &HashSet<TableId>) -> bool {
    matches!(kind, ElementKind::Active { table, .. } if closed.contains(table))
}

/// The functions in the slots of the closed tables.
fn slots(module: &Module, closed: &HashSet<TableId>) -> HashMap<TableId, Vec<FunctionId>> {
    let mut slots: HashMap<_, Vec<_>> = HashMap::new();
    for element in module.elements.iter() {
        if let (ElementKind::Active { table, .. }, ElementItems::Functions(functions)) =
            (&element.kind, &element.items)
            && closed.contains(table)
        {
            slots.entry(*table).or_default().extend(functions);
        }
    }
    slots
}

/// The walk from what the module's user can reach to everything that may run.
struct Reach<'a> {
    module: &'a Module,
    live: HashSet<FunctionId>,
    todo: Vec<FunctionId>,
    uses: Uses,
}

impl<'a> Reach<'a> {
    fn of(
        module: &'a Module,
        closed: &HashSet<TableId>,
        slots: &HashMap<TableId, Vec<FunctionId>>,
    ) -> HashSet<FunctionId> {
        let mut reach = Self {
            module,
            live: HashSet::new(),
            todo: Vec::new(),
            uses: Uses::default(),
        };
        reach.push_roots(closed);
        loop {
            reach.walk();
            let called = reach.called();
            let woken = slots.iter().flat_map(|(table, functions)| {
                let called = &called;
                functions
                    .iter()
                    .filter(move |f| called.contains(&(*table, signature_of(module, **f))))
            });
            reach.todo.extend(woken);
            reach.todo.retain(|function| !reach.live.contains(function));
            if reach.todo.is_empty() {
                return reach.live;
            }
        }
    }

    fn push_roots(&mut self, closed: &HashSet<TableId>) {
        let module = self.module;
        for export in module.exports.iter() {
            if let ExportItem::Function(function) = export.item {
                self.todo.push(function);
            }
        }
        self.todo.extend(module.start);
        for global in module.globals.iter() {
            if let GlobalKind::Local(value) = &global.kind {
                self.push_value(value);
            }
        }
        for table in module.tables.iter() {
            if let Some(value) = &table.init {
                self.push_value(value);
            }
        }
        for element in module.elements.iter() {
            match &element.items {
                ElementItems::Functions(_) if is_slots_of(&element.kind, closed) => {}
                ElementItems::Functions(functions) => self.todo.extend(functions),
                ElementItems::Expressions(_, values) => {
                    for value in values {
                        self.push_value(value);
                    }
                }
            }
        }
    }

    fn push_value(&mut self, value: &ConstExpr) {
        match value {
            ConstExpr::RefFunc(function) => self.todo.push(*function),
            ConstExpr::Extended(ops) => {
                for op in ops {
                    if let walrus::ConstOp::RefFunc(function) = op {
                        self.todo.push(*function);
                    }
                }
            }
            _ => {}
        }
    }

    fn walk(&mut self) {
        while let Some(id) = self.todo.pop() {
            if !self.live.insert(id) {
                continue;
            }
            if let FunctionKind::Local(function) = &self.module.funcs.get(id).kind {
                dfs_in_order(&mut self.uses, function, function.entry_block());
            }
            self.todo.append(&mut self.uses.functions);
        }
    }

    /// What the functions reached so far may call through each table.
    fn called(&self) -> HashSet<(TableId, Signature)> {
        let calls = self.uses.calls.iter();
        calls
            .map(|(table, ty)| (*table, signature(self.module, *ty)))
            .collect()
    }
}

fn signature(module: &Module, ty: TypeId) -> Signature {
    let (params, results) = module.types.params_results(ty);
    (params.to_vec(), results.to_vec())
}

fn signature_of(module: &Module, function: FunctionId) -> Signature {
    signature(module, module.funcs.get(function).ty())
}

/// What the code of functions uses.
#[derive(Default)]
struct Uses {
    functions: Vec<FunctionId>,
    calls: HashSet<(TableId, TypeId)>,
    /// For each table: instructions that name it, and indirect calls among them.
    mentions: HashMap<TableId, (usize, usize)>,
}

impl Uses {
    /// The tables that something other than an indirect call reads or writes.
    fn opened(&self) -> HashSet<TableId> {
        let opened = self
            .mentions
            .iter()
            .filter(|(_, (all, calls))| all != calls);
        opened.map(|(table, _)| *table).collect()
    }

    fn call(&mut self, table: TableId, ty: TypeId) {
        self.calls.insert((table, ty));
        self.mentions.entry(table).or_default().1 += 1;
    }
}

impl<'instr> Visitor<'instr> for Uses {
    fn visit_instr(&mut self, instr: &'instr Instr, _: &'instr InstrLocId) {
        match instr {
            Instr::CallIndirect(CallIndirect { ty, table })
            | Instr::ReturnCallIndirect(ReturnCallIndirect { ty, table }) => {
                self.call(*table, *ty);
            }
            _ => {}
        }
    }

    fn visit_function_id(&mut self, function: &FunctionId) {
        self.functions.push(*function);
    }

    fn visit_table_id(&mut self, table: &TableId) {
        self.mentions.entry(*table).or_default().0 += 1;
    }
}
