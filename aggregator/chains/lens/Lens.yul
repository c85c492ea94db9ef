// A small interpreter that runs a whole round of reads inside one eth_call.
//
// It is never deployed: its code is placed at a free address by a state override. Each step is bounded in gas and in bytes, so that
// one hostile contract costs nobody else an answer, and a step may use words of earlier answers as target, argument or condition.
// Calls are STATICCALLs: a contract that is read cannot move a market that is read after it.
//
// Calldata: u16 steps, u32 output limit in bytes, then the steps:
//   step    u8 kind (0 call, 1 native balance, 2 keccak256; +0x80: a condition operand follows), u8 pieces, u24 gas, u16 words kept,
//           [condition operand], [target operand: kinds 0 and 1], pieces
//   operand u8 n < 0x40: n bytes of a left-padded word | 0x40 u16 step u16 word
//           | 0x41 u16 step u16 word u8 shift u8 bits (0: all) u8 signed i32 addend
//   piece   operand | 0x80 u16 n: n bytes as they are | 0x81: 4 bytes as they are
// Returns: number, timestamp, chain id, parent hash (a word each), then for each step u8 status, u24 gas used, u32 n, n bytes.
//   status  0 value, 1 reverted (n bytes of its reason), 2 no code, 3 out of gas, 4 too large, 5 an input is missing,
//           6 not attempted (this request's gas or bytes are used up), 7 condition is zero
object "Lens" {
    code {
        datacopy(0, dataoffset("runtime"), datasize("runtime"))
        return(0, datasize("runtime"))
    }
    object "runtime" {
        code {
            let steps := shr(240, calldataload(0))
            let limit := shr(224, calldataload(2))
            let p := 6
            // directory of answers: a word a step, (memory offset << 32) | length; zero where there is no value
            let start := add(0x40, shl(5, steps))
            mstore(start, number())
            mstore(add(start, 0x20), timestamp())
            mstore(add(start, 0x40), chainid())
            mstore(add(start, 0x60), blockhash(sub(number(), 1)))
            let out := add(start, 0x80)
            let exhausted := 0

            for { let i := 0 } lt(i, steps) { i := add(i, 1) } {
                let head := calldataload(p)
                let kind := byte(0, head)
                let pieces := byte(1, head)
                let allowance := and(shr(216, head), 0xffffff)
                let kept := shl(5, and(shr(200, head), 0xffff))
                p := add(p, 7)
                let status := 0
                let target := 0

                if and(kind, 0x80) {
                    let word, known
                    p, word, known := operand(p)
                    if iszero(word) { status := 7 }
                    if iszero(known) { status := 5 }
                    kind := and(kind, 0x7f)
                }
                if lt(kind, 2) {
                    let known
                    p, target, known := operand(p)
                    if iszero(known) { status := 5 }
                    target := and(target, 0xffffffffffffffffffffffffffffffffffffffff)
                }
                // the input is laid where the answer will be written afterwards
                let input := add(out, 8)
                let end := input
                for { } pieces { pieces := sub(pieces, 1) } {
                    switch byte(0, calldataload(p))
                    case 0x80 {
                        let size := and(shr(232, calldataload(p)), 0xffff)
                        calldatacopy(end, add(p, 3), size)
                        p := add(p, add(3, size))
                        end := add(end, size)
                    }
                    case 0x81 {
                        mstore(end, calldataload(add(p, 1)))
                        p := add(p, 5)
                        end := add(end, 4)
                    }
                    default {
                        let word, known
                        p, word, known := operand(p)
                        if iszero(known) { status := 5 }
                        mstore(end, word)
                        end := add(end, 32)
                    }
                }

                if iszero(status) {
                    // what the call may use, the 1/64 that EIP-150 keeps back, and enough to return what is there already
                    if lt(gas(), add(add(allowance, shr(5, allowance)), 150000)) { exhausted := 1 }
                    if gt(add(sub(out, start), kept), limit) { exhausted := 1 }
                    if exhausted { status := 6 }
                }

                let used := 0
                let size := 0
                if iszero(status) {
                    switch kind
                    case 0 {
                        switch extcodesize(target)
                        case 0 { status := 2 }
                        default {
                            used := gas()
                            let success := staticcall(allowance, target, input, sub(end, input), 0, 0)
                            used := sub(used, gas())
                            size := returndatasize()
                            switch success
                            case 0 {
                                status := 1
                                if iszero(size) { if gt(used, sub(allowance, shr(5, allowance))) { status := 3 } }
                                if gt(size, 256) { size := 256 }
                            }
                            default {
                                if gt(size, kept) {
                                    status := 4
                                    size := 0
                                }
                            }
                            returndatacopy(input, 0, size)
                        }
                    }
                    case 1 {
                        mstore(input, balance(target))
                        size := 32
                    }
                    default {
                        mstore(input, keccak256(input, sub(end, input)))
                        size := 32
                    }
                }
                if gt(used, 0xffffff) { used := 0xffffff }
                // eight bytes of head in front of the answer, without touching it
                let prior := and(mload(out), 0xffffffffffffffffffffffffffffffffffffffffffffffff)
                mstore(out, or(shl(192, or(or(shl(56, status), shl(32, used)), size)), prior))
                if iszero(status) { mstore(add(0x40, shl(5, i)), or(shl(32, input), size)) }
                out := add(input, size)
            }
            return(start, sub(out, start))

            function operand(at) -> next, word, known {
                let head := calldataload(at)
                let tag := byte(0, head)
                if lt(tag, 0x40) {
                    if tag { word := shr(sub(256, shl(3, tag)), calldataload(add(at, 1))) }
                    next := add(at, add(1, tag))
                    known := 1
                    leave
                }
                let entry := mload(add(0x40, shl(5, and(shr(232, head), 0xffff))))
                let offset := shl(5, and(shr(216, head), 0xffff))
                known := iszero(gt(add(offset, 32), and(entry, 0xffffffff)))
                if known { word := mload(add(shr(32, entry), offset)) }
                next := add(at, 5)
                if eq(tag, 0x41) {
                    next := add(at, 12)
                    if known {
                        word := shr(byte(5, head), word)
                        let bits := byte(6, head)
                        if bits {
                            switch byte(7, head)
                            case 0 { word := and(word, sub(shl(bits, 1), 1)) }
                            default { word := signextend(sub(shr(3, bits), 1), word) }
                        }
                        word := add(word, signextend(3, and(shr(160, head), 0xffffffff)))
                    }
                }
            }
        }
    }
}
