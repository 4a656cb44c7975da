// Functions of archive.h for ctypes.
#include <cstdio>
#include <exception>

#include "archive.h"

extern "C" {

void digest(const char* bytes, std::size_t count, char* result) {
    std::snprintf(result, 65, "%s", mhdnn::sha256(bytes, count).c_str());
}

std::uint32_t checksum(const char* bytes, std::size_t count) { return mhdnn::crc32(bytes, count); }

// Records of an archive, a line each: name, CRC-32, size; or the error.
void directory(const char* path, char* result, std::size_t size) {
    std::string text;
    try {
        for (const auto& record : mhdnn::records_of(mhdnn::read_file(path), path))
            text += record.name + " " + std::to_string(record.crc) + " " + std::to_string(record.size) + "\n";
    } catch (const std::exception& error) {
        text = error.what();
    }
    std::snprintf(result, size, "%s", text.c_str());
}
}
