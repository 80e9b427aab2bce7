// Package ledger keeps what the engine decided and what it rested on: a record per stretch of like ticks of a role.
// It folds repeats, bounds what is kept, writes records compactly, finds the one that was in force at a time, runs it
// through the engine again, and says in sentences what happened, why, and what stood against something else.
//
// It decides nothing and holds no secret: a record's View is what engine.Reduce leaves of it. Start reading at Record,
// then Book (writing) and Words (reading).
package ledger
