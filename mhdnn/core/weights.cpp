#include "weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <sstream>
#include <stdexcept>

#include "archive.h"

namespace mhdnn {
namespace {

constexpr int weights_version = 1;  // plain_weights.WEIGHTS_VERSION
constexpr const char* write_again = "write it again with `mhdnn export checkpoint=MODEL.pt output=NEW.pt`";

// A file within the archive; empty if there is none.
std::string extra_file(const std::string& archive, const std::string& name, const std::string& path) {
    const std::string end = "/extra/" + name;
    for (const Record& record : records_of(archive, path))
        if (record.name.size() > end.size() &&
            record.name.compare(record.name.size() - end.size(), end.size(), end) == 0)
            return bytes_of(record, archive, path);
    return "";
}

std::string first_word(std::string& line) {
    const auto end = line.find(' ');
    const std::string word = line.substr(0, end);
    line = end == std::string::npos ? "" : line.substr(end + 1);
    return word;
}

}  // namespace

Weights::Weights(const std::string& text, std::string numbers) : numbers_(std::move(numbers)) {
    std::istringstream lines(text);
    std::string line;
    std::getline(lines, line);
    if (first_word(line) != "mhdnn_weights") fail("its plain weights have no version");
    if (line != std::to_string(weights_version))
        fail(
            "its plain weights have version " + line + ", this reader knows " + std::to_string(weights_version) +
            "; build this program with the version of mhdnn that wrote the file");
    while (std::getline(lines, line)) {
        const std::string kind = first_word(line), name = first_word(line);
        if (has(name)) fail("its plain weights have `" + name + "` twice");
        if (kind == "text")
            texts_[name] = line;
        else if (kind == "array")
            add_array(name, line);
        else
            fail("its plain weights have a line of unknown kind `" + kind + "`");
    }
}

void Weights::add_array(const std::string& name, const std::string& description) {
    std::istringstream words(description);
    std::string type;
    Array array{};
    words >> type >> array.offset;
    if (!words) refuse(name, "has no type and place");
    if (type == "float32")
        array.type = Type::float32;
    else if (type == "float64")
        array.type = Type::float64;
    else if (type == "int64")
        array.type = Type::int64;
    else
        refuse(name, "has the unknown type " + type);
    for (std::string size; words >> size;) {
        if (size.size() > 9 || size.find_first_not_of("0123456789") != std::string::npos)
            refuse(name, "has the size " + size + ", expected 0 to 999999999");
        array.shape.push_back(std::stoi(size));
    }
    const std::size_t bytes = array.type == Type::float32 ? 4 : 8;
    std::size_t most = numbers_.size() / bytes;  // so that no product of sizes overflows, not even beside a zero
    for (const int size : array.shape)
        if (size > 0) most /= static_cast<std::size_t>(size);
    if (most == 0 || array.offset > numbers_.size() || numbers_.size() - array.offset < bytes * array.size())
        refuse(name, "lies beyond their end");
    arrays_[name] = array;
}

std::size_t Weights::Array::size() const {
    std::size_t result = 1;
    for (const int size : shape) result *= static_cast<std::size_t>(size);
    return result;
}

const Weights::Array& Weights::array(const std::string& name) const {
    const auto found = arrays_.find(name);
    if (found == arrays_.end()) fail("its plain weights lack `" + name + "`");
    return found->second;
}

const std::string& Weights::text(const std::string& name) const {
    const auto found = texts_.find(name);
    if (found == texts_.end()) fail("its plain weights lack `" + name + "`");
    return found->second;
}

std::vector<std::string> Weights::words(const std::string& name) const {
    std::istringstream stream(text(name));
    return {std::istream_iterator<std::string>(stream), std::istream_iterator<std::string>()};
}

std::vector<int> Weights::shape(const std::string& name, std::size_t num_axes) const {
    const auto& shape = array(name).shape;
    if (shape.size() != num_axes)
        refuse(name, "has " + std::to_string(shape.size()) + " axes, expected " + std::to_string(num_axes));
    return shape;
}

template <class Stored, class T>
std::vector<T> Weights::converted(const Array& array) const {
    std::vector<T> result(array.size());
    for (std::size_t i = 0; i < result.size(); ++i) {
        unsigned char bytes[sizeof(Stored)];
        std::memcpy(bytes, numbers_.data() + array.offset + i * sizeof(Stored), sizeof(Stored));
        std::uint64_t bits = 0;  // least significant byte first, whatever the machine does
        for (int byte = int(sizeof(Stored)) - 1; byte >= 0; --byte) bits = bits << 8 | bytes[byte];
        Stored value;
        if constexpr (sizeof(Stored) == 4) {
            const auto half = static_cast<std::uint32_t>(bits);
            std::memcpy(&value, &half, 4);
        } else {
            std::memcpy(&value, &bits, 8);
        }
        result[i] = static_cast<T>(value);
    }
    return result;
}

template <class T>
std::vector<T> Weights::any_numbers(const std::string& name) const {
    const Array& found = array(name);
    if (found.type == Type::float32) return converted<float, T>(found);
    if (found.type == Type::float64) return converted<double, T>(found);
    return converted<std::int64_t, T>(found);
}

template <class T>
std::vector<T> Weights::numbers(const std::string& name) const {
    auto result = any_numbers<T>(name);
    if (!std::all_of(result.begin(), result.end(), [](T value) { return std::isfinite(value); }))
        refuse(name, "has a number that is NaN or infinite");
    return result;
}

template <class T>
std::vector<T> Weights::numbers(const std::string& name, std::size_t size) const {
    check_size(name, array(name).size(), size);
    return numbers<T>(name);
}

std::vector<double> Weights::positive(const std::string& name, std::size_t size) const {
    auto result = numbers<double>(name, size);
    if (!std::all_of(result.begin(), result.end(), [](double value) { return value > 0.0; }))
        refuse(name, "has a number that is not above zero");
    return result;
}

std::vector<double> Weights::limits(const std::string& name, std::size_t size) const {
    check_size(name, array(name).size(), size);
    auto result = any_numbers<double>(name);
    if (std::any_of(result.begin(), result.end(), [](double value) { return std::isnan(value); }))
        refuse(name, "has a number that is NaN");
    return result;
}

void Weights::check_size(const std::string& name, std::size_t found, std::size_t expected) const {
    if (found != expected)
        refuse(name, "has " + std::to_string(found) + " numbers, expected " + std::to_string(expected));
}

template std::vector<float> Weights::numbers<float>(const std::string&) const;
template std::vector<double> Weights::numbers<double>(const std::string&) const;
template std::vector<float> Weights::numbers<float>(const std::string&, std::size_t) const;
template std::vector<double> Weights::numbers<double>(const std::string&, std::size_t) const;

std::vector<std::int64_t> Weights::integers(const std::string& name) const {
    const Array& found = array(name);
    if (found.type != Type::int64) refuse(name, "are no integers");
    return converted<std::int64_t, std::int64_t>(found);
}

std::vector<std::int64_t> Weights::indices(const std::string& name, std::int64_t limit) const {
    const auto found = integers(name);
    for (const std::int64_t index : found)
        if (index < 0 || index >= limit)
            refuse(name, "has the number " + std::to_string(index) + ", expected 0 to " + std::to_string(limit - 1));
    return found;
}

int Weights::integer(const std::string& name, int lowest, int highest) const {
    check_size(name, array(name).size(), 1);
    const std::int64_t found = integers(name)[0];
    if (found < lowest || found > highest)
        refuse(
            name,
            "is " + std::to_string(found) + ", expected " + std::to_string(lowest) + " to " + std::to_string(highest));
    return static_cast<int>(found);
}

double Weights::number(const std::string& name) const { return numbers<double>(name, 1)[0]; }

void Weights::refuse(const std::string& name, const std::string& why) const {
    fail("`" + name + "` of its plain weights " + why);
}

void Weights::fail(const std::string& what) const { throw std::runtime_error(what); }

WeightRecords read_weights(const std::string& archive, const std::string& path) {
    verify(archive, path, nullptr);
    checked_format(extra_file(archive, "format_version.txt", path), path);
    const std::string text = extra_file(archive, "weights.txt", path);
    if (text.empty())
        throw std::runtime_error(
            path + ": has no plain weights, which are read without libtorch (an older version wrote it); " +
            write_again + ", or build the pair style with libtorch: `mhdnn lammps build torch=true`");
    return {text, extra_file(archive, "weights.bin", path)};
}

}  // namespace mhdnn
