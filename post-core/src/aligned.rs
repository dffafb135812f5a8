//! Registers on the stack, aligned.

/// As large as the widest register, and as a line of the caches.
#[repr(align(64))]
struct Register(#[expect(dead_code, reason = "only its alignment matters")] [u8; 64]);

/// Makes the compiler align the stack of the function that this is inlined into to lines of the caches.
///
/// Where registers run out, it keeps some on the stack. The stack is aligned to 16 B only, unless something with a name needs
/// more; registers of 32 and 64 B then straddle lines, in some runs and not in others.
#[inline(always)]
pub(crate) fn stack() {
    std::hint::black_box(&mut Register([0; 64]));
}
