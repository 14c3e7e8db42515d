// vtrun doctor [--json] [PROGRAM]: what stands in the way of virtual threads on this machine and for this program, and what to do about it.
#pragma once

namespace vtrun {

/// Exit status: 0 no problem, 1 some, 2 wrong usage. `library`: the one that vtrun would preload.
int doctor(int count, char** arguments, const char* library);

}  // namespace vtrun
