#include "archive.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace mhdnn {
namespace {

const std::string seal_prefix = "mhdnn sha256 ";      // mhdnn.archive.SEAL_PREFIX
constexpr int lowest_format = 3, highest_format = 5;  // older_format.FORMAT_VERSION, model_file.FORMAT_VERSION
constexpr std::size_t digest_length = 64;
const std::size_t seal_length = seal_prefix.size() + digest_length;  // a comment at the end of the archive
constexpr std::size_t end_record_length = 22, locator_length = 20, entry_length = 46, header_length = 30;
constexpr const char* remedy = "; copy it again, or export it again with `mhdnn export`";

// First 32 bits of the fractional parts of the cube roots of the first 64 primes.
constexpr std::array<std::uint32_t, 64> sha256_constants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

using State = std::array<std::uint32_t, 8>;

std::uint32_t rotated(std::uint32_t x, int bits) { return (x >> bits) | (x << (32 - bits)); }

void add_block(State& state, const unsigned char* block) {
    std::array<std::uint32_t, 64> words;
    for (std::size_t t = 0; t < 16; ++t)
        words[t] = std::uint32_t(block[4 * t]) << 24 | std::uint32_t(block[4 * t + 1]) << 16 |
                   std::uint32_t(block[4 * t + 2]) << 8 | std::uint32_t(block[4 * t + 3]);
    for (std::size_t t = 16; t < 64; ++t) {
        const std::uint32_t early = words[t - 15], late = words[t - 2];
        words[t] = words[t - 16] + (rotated(early, 7) ^ rotated(early, 18) ^ (early >> 3)) + words[t - 7] +
                   (rotated(late, 17) ^ rotated(late, 19) ^ (late >> 10));
    }
    auto [a, b, c, d, e, f, g, h] = state;
    for (std::size_t t = 0; t < 64; ++t) {
        const std::uint32_t first = h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + ((e & f) ^ (~e & g)) +
                                    sha256_constants[t] + words[t];
        const std::uint32_t second = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + first, d = c, c = b, b = a, a = first + second;
    }
    const State added = {a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < state.size(); ++i) state[i] += added[i];
}

[[noreturn]] void fail(const std::string& path, const std::string& what) {
    throw std::runtime_error(path + ": " + what + remedy);
}

// Numbers of an archive: least significant byte first.
std::uint64_t number_at(const std::string& archive, std::uint64_t place, int bytes, const std::string& path) {
    if (place > archive.size() || archive.size() - place < std::uint64_t(bytes)) fail(path, "is cut short");
    std::uint64_t result = 0;
    for (int i = bytes - 1; i >= 0; --i) result = result << 8 | static_cast<unsigned char>(archive[place + i]);
    return result;
}

bool is_sealed(const std::string& archive) {
    return archive.size() > seal_length &&
           archive.compare(archive.size() - seal_length, seal_prefix.size(), seal_prefix) == 0;
}

bool has_signature(const std::string& archive, std::uint64_t place, const char* signature) {
    return place <= archive.size() && archive.compare(place, 4, std::string("PK") + signature, 0, 4) == 0;
}

}  // namespace

std::string sha256(const char* bytes, std::size_t count) {
    State state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    const auto* data = reinterpret_cast<const unsigned char*>(bytes);
    std::size_t done = 0;
    for (; count - done >= 64; done += 64) add_block(state, data + done);
    // what is left, a one bit, zeros, and the length in bits
    std::vector<unsigned char> last(data + done, data + count);
    last.push_back(0x80);
    while (last.size() % 64 != 56) last.push_back(0);
    for (int shift = 56; shift >= 0; shift -= 8)
        last.push_back(static_cast<unsigned char>(std::uint64_t(count) * 8 >> shift));
    for (std::size_t start = 0; start < last.size(); start += 64) add_block(state, last.data() + start);
    std::string digits;
    for (const std::uint32_t word : state)
        for (int shift = 28; shift >= 0; shift -= 4) digits += "0123456789abcdef"[word >> shift & 15];
    return digits;
}

std::uint32_t crc32(const char* bytes, std::size_t count) {
    static const auto table = [] {
        std::array<std::uint32_t, 256> result;
        for (std::uint32_t byte = 0; byte < 256; ++byte) {
            std::uint32_t value = byte;
            for (int bit = 0; bit < 8; ++bit) value = value & 1 ? 0xedb88320u ^ value >> 1 : value >> 1;
            result[byte] = value;
        }
        return result;
    }();
    std::uint32_t value = 0xffffffffu;
    for (std::size_t i = 0; i < count; ++i)
        value = table[(value ^ static_cast<unsigned char>(bytes[i])) & 0xff] ^ value >> 8;
    return ~value;
}

// Sections 4.3.12 to 4.3.16 of PKWARE's APPNOTE.
std::vector<Record> records_of(const std::string& archive, const std::string& path) {
    const std::size_t comment = is_sealed(archive) ? seal_length : 0;
    if (archive.size() < end_record_length + comment) fail(path, "not a model file of mhdnn, or cut short");
    const std::uint64_t end = archive.size() - comment - end_record_length;
    if (!has_signature(archive, end, "\5\6") || number_at(archive, end + 20, 2, path) != comment)
        fail(path, "not a model file of mhdnn, or cut short");
    std::uint64_t count = number_at(archive, end + 10, 2, path), place = number_at(archive, end + 16, 4, path);
    if (end >= locator_length && has_signature(archive, end - locator_length, "\6\7")) {
        const std::uint64_t large = number_at(archive, end - locator_length + 8, 8, path);
        if (!has_signature(archive, large, "\6\6")) fail(path, "is damaged (its directory is not where it should be)");
        count = number_at(archive, large + 32, 8, path);
        place = number_at(archive, large + 48, 8, path);
    }
    std::vector<Record> result;
    for (std::uint64_t number = 0; number < count; ++number) {
        if (!has_signature(archive, place, "\1\2")) fail(path, "is damaged (its directory is broken)");
        const std::uint64_t length = number_at(archive, place + 28, 2, path);
        Record record;
        record.crc = static_cast<std::uint32_t>(number_at(archive, place + 16, 4, path));
        record.size = number_at(archive, place + 24, 4, path);
        number_at(archive, place + entry_length + length, 0, path);  // the name ends within the file
        record.name = archive.substr(place + entry_length, length);
        record.packed = number_at(archive, place + 10, 2, path) != 0;
        record.header = number_at(archive, place + 42, 4, path);
        place +=
            entry_length + length + number_at(archive, place + 30, 2, path) + number_at(archive, place + 32, 2, path);
        result.push_back(record);
    }
    return result;
}

std::string bytes_of(const Record& record, const std::string& archive, const std::string& path) {
    if (record.packed) fail(path, "has a packed record " + record.name);
    if (!has_signature(archive, record.header, "\3\4"))
        fail(path, "is damaged (record " + record.name + " is not there)");
    const std::uint64_t first = record.header + header_length + number_at(archive, record.header + 26, 2, path) +
                                number_at(archive, record.header + 28, 2, path);
    number_at(archive, first + record.size, 0, path);  // it ends within the file
    return archive.substr(first, record.size);
}

std::string read_file(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) throw std::runtime_error(path + ": no such model file; `mhdnn train` and `mhdnn export` write one");
    stream.peek();  // of a folder nothing can be read
    if (stream.bad()) throw std::runtime_error(path + ": is a folder; expected a model file, such as model.pt in it");
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

int checked_format(const std::string& text, const std::string& path) {
    if (text.empty())
        throw std::runtime_error(
            path +
            ": TorchScript without mhdnn's metadata, or of a version before this reader's; "
            "expected a file written by `mhdnn export`");
    const int version = std::atoi(text.c_str());
    if (version < lowest_format || version > highest_format)
        throw std::runtime_error(
            path + ": format version " + text + ", this pair style reads " + std::to_string(lowest_format) + " to " +
            std::to_string(highest_format) + "; export the checkpoint again with `mhdnn export`");
    return version;
}

void verify(const std::string& archive, const std::string& path, const Unpack& unpack) {
    if (is_sealed(archive)) {
        const std::string digest = archive.substr(archive.size() - digest_length);
        if (sha256(archive.data(), archive.size() - seal_length) != digest)
            fail(path, "is damaged (its SHA-256 differs from that written in it)");
        return;
    }
    for (const Record& record : records_of(archive, path)) {
        if (record.packed && !unpack) continue;
        const std::string bytes = record.packed ? unpack(record.name) : bytes_of(record, archive, path);
        if (bytes.size() != record.size || crc32(bytes.data(), bytes.size()) != record.crc)
            fail(path, "is damaged (the CRC-32 of its record " + record.name + " differs)");
    }
}

}  // namespace mhdnn
