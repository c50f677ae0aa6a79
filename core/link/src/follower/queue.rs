//! Namespaces with something to say, first come first served: a list through the slots themselves,
//! so that it needs no memory of its own.

use super::slot::Slot;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Queue {
    head: Option<u32>,
    tail: Option<u32>,
}

fn at(slots: &mut [Slot], number: u32) -> Option<&mut Slot> {
    slots.get_mut(usize::try_from(number).ok()?)
}

impl Queue {
    pub(super) fn push(&mut self, slots: &mut [Slot], number: u32) {
        let Some(slot) = at(slots, number).filter(|slot| !slot.queued) else { return };
        slot.queued = true;
        slot.next = None;
        match self.tail.and_then(|tail| at(slots, tail)) {
            Some(last) => last.next = Some(number),
            None => self.head = Some(number),
        }
        self.tail = Some(number);
    }

    pub(super) const fn first(&self) -> Option<u32> {
        self.head
    }

    pub(super) fn pop(&mut self, slots: &mut [Slot]) {
        let Some(slot) = self.head.and_then(|head| at(slots, head)) else { return };
        slot.queued = false;
        self.head = slot.next.take();
        if self.head.is_none() {
            self.tail = None;
        }
    }
}
