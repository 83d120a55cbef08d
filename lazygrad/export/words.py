"""Names that mean something else in C or C++, so that no function or parameter of ours may have them."""

from __future__ import annotations

import re

__all__ = ["is_function", "is_word"]

# Keywords of C and C++, and names that are ours.
_KEYWORDS = """
    auto break case char const continue default do double else enum extern float for goto if inline int long register
    restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
    alignas alignof and and_eq asm bitand bitor bool catch char8_t char16_t char32_t class co_await co_return co_yield
    compl concept const_cast consteval constexpr constinit decltype delete dynamic_cast explicit export false friend
    mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public reinterpret_cast
    requires static_assert static_cast template this thread_local throw true try typeid typename typeof typeof_unqual
    using virtual xor xor_eq
    workspace weights stream main
"""
# Macros and types of headers, and what compilers define beside them.
_MACROS = """
    NULL EOF I NAN INFINITY FILE DBL_MAX FLT_MAX HUGE_VAL BUFSIZ RAND_MAX EXIT_SUCCESS EXIT_FAILURE TRUE FALSE DOMAIN
    OVERFLOW UNDERFLOW assert complex errno fortran imaginary linux offsetof pascal stderr stdin stdout unix va_arg
    va_end va_list va_start setjmp noreturn near far i386 sun
"""
_TYPES = re.compile(r"\w+_t|U?(INT|SIZE|PTRDIFF|WCHAR|SIG_ATOMIC|CHAR|SCHAR|SHRT|LONG|LLONG)\w*_(MIN|MAX|C|BIT)|M_\w+")
# Functions of C's library; those of numbers also have forms for float and long double.
_FUNCTIONS = """
    abort abs alloca atexit atof atoi atol atoll bcmp bcopy bsearch bzero calloc clearerr clock close ctime difftime div
    dup execl exit fclose fcntl feof ferror ffs fflush fgetc fgetpos fgets fileno fopen fork fprintf fputc fputs fread
    free freopen fscanf fseek fsetpos ftell fwrite getc getchar getenv gets gmtime index isalnum isalpha isatty isblank
    iscntrl isdigit isgraph islower isprint ispunct isspace isupper isxdigit kill labs ldiv link llabs lldiv localeconv
    localtime longjmp lseek malloc memchr memcmp memcpy memmove memset mktime open pause perror pipe printf putc putchar
    puts qsort raise rand read realloc remove rename rewind rindex scanf select setbuf setlocale setvbuf signal sleep
    snprintf sprintf srand sscanf stpcpy strcat strchr strcmp strcoll strcpy strcspn strdup strerror strftime strlen
    strncat strncmp strncpy strpbrk strrchr strspn strstr strtod strtof strtok strtol strtold strtoll strtoul strtoull
    strxfrm sync system time tmpfile tmpnam tolower toupper ungetc unlink vfprintf vprintf vscanf vsnprintf vsprintf
    wait write
"""
_NUMBERS = """
    acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp10 exp2 expm1 fabs fdim floor fma
    fmax fmin fmod frexp gamma hypot ilogb isfinite isinf isnan isnormal j0 j1 jn ldexp lgamma llrint llround log log10
    log1p log2 logb lrint lround modf nan nearbyint nextafter nexttoward pow remainder remquo rint round scalbln scalbn
    signbit sin sincos sinh sqrt tan tanh tgamma trunc y0 y1 yn cabs carg ccos cexp cimag clog conj cpow
    creal csin csqrt
"""
_WORDS = frozenset([*_KEYWORDS.split(), *_MACROS.split()])
_TAKEN = frozenset([*_FUNCTIONS.split(), *[name + end for name in _NUMBERS.split() for end in ("", "f", "l")]])


def is_word(name: str) -> bool:
    """Whether a name stands for something that is no variable: a keyword, a type, a macro."""
    return name in _WORDS or _TYPES.fullmatch(name) is not None


def is_function(name: str) -> bool:
    """Whether C's library has a function of this name, which a program would no longer find."""
    return name in _TAKEN
