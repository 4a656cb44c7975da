// ZIP archives in which a changed bit is noticed; the twin of mhdnn/archive.py. Nothing of LAMMPS or torch is needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace mhdnn {

// The SHA-256 of some bytes (FIPS 180-4), as 64 hexadecimal digits.
std::string sha256(const char* bytes, std::size_t count);
// The CRC-32 of some bytes, as in ZIP archives.
std::uint32_t crc32(const char* bytes, std::size_t count);

// What the directory of an archive says of a record.
struct Record {
    std::string name;
    std::uint32_t crc = 0;
    std::uint64_t size = 0;    // unpacked
    std::uint64_t header = 0;  // where its own header begins
    bool packed = false;
};
std::vector<Record> records_of(const std::string& archive, const std::string& path);

// The bytes of a record that is not packed, as torch writes all.
std::string bytes_of(const Record& record, const std::string& archive, const std::string& path);

// The version of a model file's format from its text, which is empty in other files; refuses what this reader doesn't
// know.
int checked_format(const std::string& text, const std::string& path);

// Gives the bytes of a packed record by its name; a program that has none of this looks at the others only.
using Unpack = std::function<std::string(const std::string& name)>;
// The whole file.
std::string read_file(const std::string& path);
// Refuses an archive whose digest differs from the one in its comment, or, without one, a record with another
// checksum. Errors are std::runtime_error with a sentence for the user.
void verify(const std::string& archive, const std::string& path, const Unpack& unpack);

}  // namespace mhdnn
